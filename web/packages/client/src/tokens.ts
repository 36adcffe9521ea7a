import { Emitter } from "./emitter";
import { NoAnswerError, RequestError, SignedOutError } from "./errors";
import type { Locks } from "./locks";
import type { TokenGrant, User } from "./protocol";
import type { Rest } from "./rest";
import type { Kept, TokenStore } from "./token_store";

/** One tab at a time exchanges a refresh token: each may be used once. */
const LOCK = "bobchat.tokens";
const REFRESH_TRIES = 3;

/**
 * Holds the tokens of this browser; nothing else in the page reads or writes them.
 *
 * Shared by all tabs. The refresh token is exchanged by one tab at a time, and a tab that waited for
 * another takes what that one got.
 */
export class Tokens {
  /** Somebody signed in or out, here or in another tab. */
  readonly changed = new Emitter<User | null>();
  readonly #store: TokenStore;
  readonly #locks: Locks;
  readonly #rest: Rest;
  /** What the store had when this tab last looked: may be older than what another tab has saved since. */
  #kept: Kept | null = null;

  private constructor(store: TokenStore, locks: Locks, rest: Rest) {
    this.#store = store;
    this.#locks = locks;
    this.#rest = rest;
    store.changed.listen(() => void this.#reload());
  }

  /** Takes up what this browser has kept. */
  static async open(store: TokenStore, locks: Locks, rest: Rest): Promise<Tokens> {
    const tokens = new Tokens(store, locks, rest);
    tokens.#kept = await store.load();
    return tokens;
  }

  /** Who is signed in. */
  user(): User | null {
    return this.#kept?.user ?? null;
  }

  /** When the access token ends, in milliseconds of this browser's clock. */
  endsAt(): number {
    return this.#kept?.ends_at ?? 0;
  }

  /** Signs up a guest and signs this browser in as them. */
  async signIn(name: string): Promise<User> {
    const { user } = await this.#keep(await this.#rest.createGuest(name));
    this.changed.emit(user);
    return user;
  }

  /**
   * An access token that stays valid for `validFor_ms`, exchanged for a new one if need be.
   * `refused` is a token that the server did not take, whatever its time says.
   *
   * Throws {@link SignedOutError} when a person has to sign in, and what the network threw otherwise.
   */
  async access(validFor_ms: number, refused?: string): Promise<string> {
    const isFresh = (kept: Kept) => kept.access !== refused && kept.ends_at - Date.now() > validFor_ms;
    if (this.#kept && isFresh(this.#kept)) return this.#kept.access;
    return this.#locks.exclusive(LOCK, async () => {
      this.#kept = await this.#store.load();
      if (!this.#kept) throw new SignedOutError("no tokens");
      return (isFresh(this.#kept) ? this.#kept : await this.#exchange(this.#kept)).access;
    });
  }

  /** Signs this device out. Works without a connection: the tokens are forgotten in any case. */
  async signOut(): Promise<void> {
    const access = this.#kept?.access;
    await this.forget();
    if (access) await this.#rest.endSession(access).catch(() => {});
  }

  /** Forgets the tokens: the server does not take them any more. */
  async forget(): Promise<void> {
    this.#kept = null;
    await this.#store.save(null);
    this.changed.emit(null);
  }

  async #exchange(kept: Kept): Promise<Kept> {
    try {
      return await this.#keep(await this.#refresh(kept.refresh));
    } catch (error) {
      if (!(error instanceof RequestError) || error.wire.temporary) throw error;
      await this.forget();
      throw new SignedOutError(error.wire.message);
    }
  }

  /** Asks again at once when there is no answer: later, the server takes the repetition for a theft. */
  async #refresh(token: string): Promise<TokenGrant> {
    for (let tries = 1; ; tries++) {
      try {
        return await this.#rest.refresh(token);
      } catch (error) {
        if (!(error instanceof NoAnswerError) || tries >= REFRESH_TRIES) throw error;
      }
    }
  }

  async #keep(grant: TokenGrant): Promise<Kept> {
    const user = grant.user ?? this.#kept?.user;
    if (!user) throw new SignedOutError("a grant for nobody");
    const kept = { user, access: grant.access_token, refresh: grant.refresh_token, ends_at: localEnd(grant) };
    await this.#store.save(kept);
    this.#kept = kept;
    return kept;
  }

  async #reload(): Promise<void> {
    const before = this.user()?.id;
    this.#kept = await this.#store.load();
    if (this.user()?.id !== before) this.changed.emit(this.user());
  }
}

/**
 * When a token ends by this browser's clock: from the lifetime that the token itself states, so that a
 * clock that is wrong by an hour does not end it early or late.
 */
export function localEnd(grant: TokenGrant, now: number = Date.now()): number {
  try {
    const part = grant.access_token.split(".")[1] ?? "";
    const claims = JSON.parse(atob(part.replaceAll("-", "+").replaceAll("_", "/"))) as {
      iat?: number;
      exp?: number;
    };
    if (claims.iat !== undefined && claims.exp !== undefined) return now + (claims.exp - claims.iat) * 1000;
  } catch {
    // Not a JWT that we can read: its stated end has to do.
  }
  return Date.parse(grant.access_expires_at);
}
