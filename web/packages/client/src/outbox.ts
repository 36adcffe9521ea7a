import { backoffDelay } from "./backoff";
import { Emitter } from "./emitter";
import { NoAnswerError, RequestError, wordsFor } from "./errors";
import { newKey } from "./key";
import type { OutboxStore } from "./outbox_store";
import { type Event, type Id, LIMITS, type MessageSend, type MessageSendOk } from "./protocol";

/** A message on its way out. */
export interface OutboxEntry {
  /** The idempotency key: the same for every try, so that a retry adds nothing. */
  key: string;
  /** Who wrote it. */
  author: Id;
  room: Id;
  text: string;
  /** When it was written, in milliseconds of this browser's clock. */
  written_at: number;
  /** When it was first given to a connection; its key counts from there. */
  tried_at?: number;
  /**
   * `waiting` for the connection or for its turn, `sending`, `sent` (acked, its event has not come yet),
   * or `failed` until a person decides.
   */
  state: "waiting" | "sending" | "sent" | "failed";
  /** Why it failed, for a person. */
  words?: string;
  /** Whether another try cannot help. */
  final?: boolean;
  /** Where it stands in the room, once acked. */
  seq?: number;
}

/** Gives a message to the server; the connection's `ask`. */
export type Send = (message: MessageSend) => Promise<MessageSendOk>;

/** Tries that end in a passing fault before a person is asked. */
const TRIES_MAX = 6;
const RETRY = { base_ms: 1_000, cap_ms: 15_000 };
/** Keys are honoured for a day; an hour earlier a try could still add a second message on its way. */
const KEY_USE_MS = LIMITS.key_lifetime_ms - 60 * 60 * 1000;

/**
 * Messages on their way out: kept over reloads, sent in the order of each room, each added once however
 * often it is tried.
 */
export class Outbox {
  /** All entries, after every change. */
  readonly changed = new Emitter<readonly OutboxEntry[]>();
  #entries: readonly OutboxEntry[] = [];
  #live = false;
  /** Rooms whose queue is being sent; at most one message of a room is on its way. */
  readonly #busy = new Set<Id>();
  readonly #store: OutboxStore;
  readonly #send: Send;

  constructor(store: OutboxStore, send: Send) {
    this.#store = store;
    this.#send = send;
  }

  /** All entries, in the order in which they were written. */
  get entries(): readonly OutboxEntry[] {
    return this.#entries;
  }

  /** Takes up what `author` left unsent, in this tab or in one that is gone. */
  async restore(author: Id): Promise<void> {
    const left = await this.#store.load();
    const known = new Set(this.#entries.map(({ key }) => key));
    const mine = left
      .filter((entry) => entry.author === author && !known.has(entry.key) && entry.state !== "sent")
      .map((entry) => (entry.state === "failed" ? entry : { ...entry, state: "waiting" as const }));
    if (mine.length > 0) this.#set([...mine, ...this.#entries].sort((a, b) => a.written_at - b.written_at));
    this.#pumpAll();
  }

  /** Adds a message; it goes out as soon as the connection and its room's queue allow. */
  add(author: Id, room: Id, text: string): OutboxEntry {
    const entry: OutboxEntry = {
      key: newKey(),
      author,
      room,
      text,
      written_at: Date.now(),
      state: "waiting",
    };
    this.#set([...this.#entries, entry]);
    void this.#pump(room);
    return entry;
  }

  /** Tries a failed message again, under the same key. */
  retry(key: string): void {
    const entry = this.#find(key);
    if (entry?.state !== "failed" || entry.final) return;
    this.#change(key, { state: "waiting" });
    void this.#pump(entry.room);
  }

  /** Forgets a message that failed. */
  remove(key: string): void {
    if (this.#find(key)?.state === "failed") this.#set(this.#entries.filter((entry) => entry.key !== key));
  }

  /** Forgets everything: somebody signed out. */
  clear(): void {
    this.#set([]);
  }

  /** Says whether the connection takes messages. */
  setLive(live: boolean): void {
    this.#live = live;
    if (live) this.#pumpAll();
  }

  /** Takes note of events: what came back in the room's stream is not on its way any more. */
  settle(events: readonly Event[]): void {
    const keys = new Set(events.flatMap(({ author, key }) => (key ? [`${author} ${key}`] : [])));
    const left = this.#entries.filter(({ author, key }) => !keys.has(`${author} ${key}`));
    if (left.length < this.#entries.length) this.#set(left);
  }

  /** Takes note that a room was seen up to `seq`: what was acked at or below it stands there. */
  settleUpTo(room: Id, seq: number): void {
    const left = this.#entries.filter(
      (entry) => entry.room !== room || !(entry.seq !== undefined && entry.seq <= seq),
    );
    if (left.length < this.#entries.length) this.#set(left);
  }

  #pumpAll(): void {
    for (const room of new Set(this.#entries.map((entry) => entry.room))) void this.#pump(room);
  }

  /** Sends a room's queue, one message at a time, until it is empty or the connection is gone. */
  async #pump(room: Id): Promise<void> {
    if (this.#busy.has(room)) return;
    this.#busy.add(room);
    let tries = 0;
    while (this.#live) {
      const entry = this.#entries.find((one) => one.room === room && one.state === "waiting");
      if (!entry) break;
      const delay_ms = await this.#try(entry, tries);
      tries = delay_ms > 0 ? tries + 1 : 0;
      if (delay_ms > 0) await new Promise((resolve) => setTimeout(resolve, delay_ms));
    }
    this.#busy.delete(room);
  }

  /** Sends one message once. Answers how long to wait before the queue goes on. */
  async #try(entry: OutboxEntry, tries: number): Promise<number> {
    const { key, room, text } = entry;
    if (entry.tried_at !== undefined && Date.now() - entry.tried_at > KEY_USE_MS) {
      this.#change(key, {
        state: "failed",
        final: true,
        words: "It waited for too long. Copy it and send it anew.",
      });
      return 0;
    }
    const first = entry.tried_at === undefined;
    const now = Date.now();
    this.#change(key, { state: "sending", tried_at: entry.tried_at ?? now });
    try {
      // Only the first try says when, for it has no others before it.
      const made_at = first ? { made_at: new Date(now).toISOString() } : {};
      const ok = await this.#send({ room, key, text, ...made_at });
      this.#change(key, { state: "sent", seq: ok.position?.seq ?? 0 });
      return 0;
    } catch (error) {
      return this.#failed(key, error, tries);
    }
  }

  #failed(key: string, error: unknown, tries: number): number {
    // This browser's clock is wrong: the next try does not speak of it.
    const wrongClock = error instanceof RequestError && error.wire.field === "made_at";
    const lasting = error instanceof RequestError && !error.wire.temporary && !wrongClock;
    const rateLimited = error instanceof RequestError && error.wire.code === "rate_limited";
    if (lasting || (tries >= TRIES_MAX && !rateLimited && this.#live)) {
      this.#change(key, { state: "failed", words: wordsFor(error) });
      return 0;
    }
    this.#change(key, { state: "waiting" });
    // Without a connection the queue stops by itself, and begins again with the next one.
    if (error instanceof NoAnswerError && !this.#live) return 0;
    const asked_ms = error instanceof RequestError ? (error.wire.retry_after_ms ?? 0) : 0;
    return Math.max(1, asked_ms) + backoffDelay(rateLimited ? 0 : tries, RETRY);
  }

  #find(key: string): OutboxEntry | undefined {
    return this.#entries.find((entry) => entry.key === key);
  }

  #change(key: string, change: Partial<OutboxEntry>): void {
    this.#set(this.#entries.map((entry) => (entry.key === key ? { ...entry, ...change } : entry)));
  }

  #set(entries: readonly OutboxEntry[]): void {
    this.#entries = entries;
    this.#store.save(entries.filter(({ state }) => state !== "sent"));
    this.changed.emit(entries);
  }
}
