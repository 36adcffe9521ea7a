import { AT_ONCE_SPREAD_MS, backoffDelay } from "./backoff";
import { CLOSE_CODES, type Reconnect, type Error as WireError } from "./protocol";

/** What to do about a connection that ended. */
export type AfterClose =
  /** Come back after `delay_ms`. */
  | { do: "return"; delay_ms: number }
  /** Get another token, then come back. */
  | { do: "refresh" }
  /** The server does not take this person any more. */
  | { do: "sign_in" }
  /** This page and the server do not understand each other. */
  | { do: "stop" };

/** How the connection ended. */
export interface Ending {
  /** The code of the close frame; 1006 when there was none. */
  code: number;
  /** The last error frame without an id of a request, if there was one. */
  error?: WireError;
  /** Whether the connection had been signed in for long enough to count as good. */
  wasGood: boolean;
  /** How many tries have failed in a row. */
  attempt: number;
}

const TOKEN_ENDED = 4401;
const SIGNED_OUT = 4403;

/** The rule of docs/protocol.md, "Close codes": the range of the code says whether to come back. */
export function afterClose(ending: Ending, random: () => number = Math.random): AfterClose {
  const backoff = { do: "return", delay_ms: backoffDelay(ending.attempt, undefined, random) } as const;
  switch (ruleOf(ending.code)) {
    case "at_once":
      // "At once" is for a connection that worked. A server that drains keeps closing new ones.
      return ending.wasGood ? { do: "return", delay_ms: random() * AT_ONCE_SPREAD_MS } : backoff;
    case "after_wait":
      return { do: "return", delay_ms: (ending.error?.retry_after_ms ?? 1000) + backoff.delay_ms };
    case "no":
      if (ending.code === TOKEN_ENDED)
        return ending.wasGood || ending.attempt === 0 ? { do: "refresh" } : backoff;
      return { do: ending.code === SIGNED_OUT ? "sign_in" : "stop" };
    default:
      return backoff;
  }
}

function ruleOf(code: number): Reconnect | undefined {
  const known = CLOSE_CODES[code]?.[1];
  if (known) return known;
  if (code >= 4000 && code <= 4099) return "at_once";
  if (code >= 4100 && code <= 4199) return "after_wait";
  return code >= 4400 && code <= 4499 ? "no" : undefined;
}
