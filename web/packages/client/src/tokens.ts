import { Emitter } from "./emitter";
import { RequestError, SignedOutError } from "./errors";
import type { Locks } from "./locks";
import type { TokenGrant, User } from "./protocol";
import type { Rest } from "./rest";
import { type KeyValues, readJson, writeJson } from "./storage";

/** Where the tokens lie: nothing else in the page reads or writes this. */
const PLACE = "bobchat.tokens";
/** One tab at a time exchanges a refresh token: each may be used once. */
const LOCK = "bobchat.tokens";

/** A pair of tokens as this browser keeps it. */
interface Kept {
  user: User;
  access: string;
  refresh: string;
  /** When the access token ends by this browser's own clock, in milliseconds. */
  ends_at: number;
}

/**
 * Keeps the tokens of this browser: the one place that has them.
 *
 * Shared by all tabs. The refresh token is exchanged by one tab at a time, and a tab that waited for
 * another takes what that one got.
 */
export class Tokens {
  /** Somebody signed in or out, here or in another tab. */
  readonly changed = new Emitter<User | null>();
  readonly #values: KeyValues;
  readonly #locks: Locks;
  readonly #rest: Rest;

  constructor(values: KeyValues, locks: Locks, rest: Rest) {
    this.#values = values;
    this.#locks = locks;
    this.#rest = rest;
  }

  /** Who is signed in. */
  user(): User | null {
    return this.#kept()?.user ?? null;
  }

  /** When the access token ends, in milliseconds of this browser's clock. */
  endsAt(): number {
    return this.#kept()?.ends_at ?? 0;
  }

  /** Signs up a guest and signs this browser in as them. */
  async signIn(name: string): Promise<User> {
    const user = this.#keep(await this.#rest.createGuest(name)).user;
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
    const fresh = () => {
      const kept = this.#kept();
      if (!kept) throw new SignedOutError("no tokens");
      return kept.access !== refused && kept.ends_at - Date.now() > validFor_ms ? kept : null;
    };
    return (fresh() ?? (await this.#locks.exclusive(LOCK, async () => fresh() ?? (await this.#exchange()))))
      .access;
  }

  /** Signs this device out. Works without a connection: the tokens are forgotten in any case. */
  async signOut(): Promise<void> {
    const kept = this.#kept();
    this.forget();
    if (kept) await this.#rest.endSession(kept.access).catch(() => {});
  }

  /** Forgets the tokens: the server does not take them any more. */
  forget(): void {
    this.#values.remove(PLACE);
    this.changed.emit(null);
  }

  /** To be called when another tab changed the storage under `name` (`null`: cleared it). */
  storageChanged(name: string | null): void {
    if (name === PLACE || name === null) this.changed.emit(this.user());
  }

  async #exchange(): Promise<Kept> {
    const kept = this.#kept();
    if (!kept) throw new SignedOutError("no tokens");
    try {
      return this.#keep(await this.#rest.refresh(kept.refresh));
    } catch (error) {
      if (error instanceof RequestError && !error.wire.temporary) {
        this.forget();
        throw new SignedOutError(error.wire.message);
      }
      throw error;
    }
  }

  #kept(): Kept | null {
    return readJson<Kept>(this.#values, PLACE);
  }

  #keep(grant: TokenGrant): Kept {
    const user = grant.user ?? this.#kept()?.user;
    if (!user) throw new SignedOutError("a grant for nobody");
    const kept = { user, access: grant.access_token, refresh: grant.refresh_token, ends_at: localEnd(grant) };
    writeJson(this.#values, PLACE, kept);
    return kept;
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
