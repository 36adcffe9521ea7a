import type { Error as WireError } from "./protocol";

/** The server answered with an error. */
export class RequestError extends Error {
  override readonly name = "RequestError";
  /** What the server said. */
  readonly wire: WireError;

  constructor(wire: WireError) {
    super(wire.message);
    this.wire = wire;
  }
}

/** No answer: it is not known whether the request took effect. Ask again, with the same key. */
export class NoAnswerError extends Error {
  override readonly name = "NoAnswerError";
}

/** There is no token any more that the server takes: a person has to sign in. */
export class SignedOutError extends Error {
  override readonly name = "SignedOutError";
}

/** What to tell a person about a failed request. */
export function wordsFor(error: unknown): string {
  if (error instanceof RequestError) return sentence(error.wire.message);
  if (error instanceof SignedOutError) return "You are signed out.";
  return "The server does not answer. Check the connection and try again.";
}

/** The server's messages are lower case without a full stop; a page shows sentences. */
function sentence(message: string): string {
  const trimmed = message.trim();
  if (trimmed === "") return "Something went wrong.";
  const first = trimmed.charAt(0).toLocaleUpperCase();
  return `${first}${trimmed.slice(1)}${/[.!?]$/.test(trimmed) ? "" : "."}`;
}
