/** How long to wait between tries. */
export interface Backoff {
  /** The upper bound of the first wait, in milliseconds. */
  base_ms: number;
  /** The upper bound of every wait, in milliseconds. */
  cap_ms: number;
}

/** From one network hiccup to half a minute: long enough for a server that restarts, short enough for a person. */
export const RECONNECT: Backoff = { base_ms: 500, cap_ms: 30_000 };

/** Spreads clients that all lost the same server and may come back at once. */
export const AT_ONCE_SPREAD_MS = 500;

/**
 * The wait before try number `attempt` (from 0), with full jitter: anything from nothing to a bound that
 * doubles. Clients that failed together do not come back together.
 */
export function backoffDelay(
  attempt: number,
  backoff = RECONNECT,
  random: () => number = Math.random,
): number {
  // The exponent is capped so that the product stays a number a timer understands.
  const bound = Math.min(backoff.cap_ms, backoff.base_ms * 2 ** Math.min(attempt, 30));
  return Math.floor(random() * bound);
}
