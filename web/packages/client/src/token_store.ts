import { Emitter } from "./emitter";
import type { User } from "./protocol";

/** A pair of tokens as this browser keeps it. */
export interface Kept {
  user: User;
  access: string;
  refresh: string;
  /** When the access token ends by this browser's own clock, in milliseconds. */
  ends_at: number;
}

/** The one place where the tokens lie, shared by all tabs. */
export interface TokenStore {
  /** What was saved last, by whichever tab. */
  load(): Promise<Kept | null>;
  /** Replaces it; every tab that loads afterwards sees it. */
  save(kept: Kept | null): Promise<void>;
  /** Another tab saved something. */
  readonly changed: Emitter<void>;
}

const NAME = "bobchat.tokens";
const TABLE = "tokens";

/**
 * Keeps the tokens in IndexedDB, whose transactions all tabs see in one order. Local storage gives no such
 * promise: a tab could read a refresh token that another has just used, in spite of the lock around both.
 */
export function databaseTokenStore(factory: IDBFactory = indexedDB): TokenStore {
  const opened = openDatabase(factory);
  const changed = new Emitter<void>();
  const channel = new BroadcastChannel(NAME);
  channel.onmessage = () => changed.emit();
  return {
    changed,
    load: async () => {
      const table = (await opened).transaction(TABLE).objectStore(TABLE);
      return ((await settled(table.get(NAME))) as Kept | undefined) ?? null;
    },
    save: async (kept) => {
      const transaction = (await opened).transaction(TABLE, "readwrite");
      const table = transaction.objectStore(TABLE);
      if (kept) table.put(kept, NAME);
      else table.delete(NAME);
      await committed(transaction);
      channel.postMessage(null);
    },
  };
}

/** Keeps the tokens for as long as the page lives: for tests, and where a browser forbids storage. */
export function memoryTokenStore(): TokenStore {
  let now: Kept | null = null;
  return {
    changed: new Emitter<void>(),
    load: async () => now,
    save: async (kept) => {
      now = kept;
    },
  };
}

/** The database where the browser has one that can be opened, memory where not. */
export async function browserTokenStore(): Promise<TokenStore> {
  try {
    const store = databaseTokenStore();
    await store.load();
    return store;
  } catch {
    return memoryTokenStore();
  }
}

function openDatabase(factory: IDBFactory): Promise<IDBDatabase> {
  const request = factory.open("bobchat", 1);
  request.onupgradeneeded = () => request.result.createObjectStore(TABLE);
  return settled(request);
}

function settled<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

function committed(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error);
  });
}
