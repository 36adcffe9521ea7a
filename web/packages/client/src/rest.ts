import { NoAnswerError, RequestError } from "./errors";
import type { TokenGrant, Error as WireError } from "./protocol";

/** The calls that need no connection: all of them are about tokens. */
export interface Rest {
  createGuest(name: string): Promise<TokenGrant>;
  refresh(refreshToken: string): Promise<TokenGrant>;
  /** Signs this device out. */
  endSession(accessToken: string): Promise<void>;
}

/** Longer than any answer takes; a person waits no longer. */
const TIMEOUT_MS = 15_000;
/**
 * The same for a refresh token. The server takes a used one again for 10 seconds, for whoever lost the
 * answer: three tries have to fit.
 */
const REFRESH_TIMEOUT_MS = 3_000;

/** Calls the server at `origin`. */
export function createRest(origin: string): Rest {
  const call = async (
    method: string,
    path: string,
    init: { body?: unknown; token?: string; timeout_ms?: number },
  ) => {
    const headers: Record<string, string> = { accept: "application/json" };
    if (init.body !== undefined) headers["content-type"] = "application/json";
    if (init.token) headers.authorization = `Bearer ${init.token}`;
    const body = init.body === undefined ? null : JSON.stringify(init.body);
    const signal = AbortSignal.timeout(init.timeout_ms ?? TIMEOUT_MS);
    const response = await fetch(`${origin}/api/v1${path}`, { method, headers, body, signal }).catch(() => {
      throw new NoAnswerError(`${method} ${path}: no answer`);
    });
    if (response.ok) return response;
    throw new RequestError(await readError(response));
  };
  return {
    createGuest: async (name) => readGrant(await call("POST", "/guests", { body: { name } })),
    refresh: async (refresh_token) => {
      const init = { body: { refresh_token }, timeout_ms: REFRESH_TIMEOUT_MS };
      return readGrant(await call("POST", "/tokens/refresh", init));
    },
    endSession: async (token) => void (await call("DELETE", "/session", { token })),
  };
}

async function readGrant(response: Response): Promise<TokenGrant> {
  const grant = (await response.json().catch(() => null)) as TokenGrant | null;
  if (!grant?.access_token) throw new NoAnswerError("the answer is not a grant of tokens");
  return grant;
}

/**
 * A proxy in between answers in its own words: those pass. A page of theirs that says 404 must not sign a
 * guest out, who has no way back in.
 */
async function readError(response: Response): Promise<WireError> {
  const body = (await response.json().catch(() => null)) as Partial<WireError> | null;
  if (typeof body?.code === "string" && typeof body.message === "string") return body as WireError;
  return { code: "unavailable", message: `the server answered ${response.status}`, temporary: true };
}
