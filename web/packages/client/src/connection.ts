import { backoffDelay } from "./backoff";
import { afterClose } from "./close";
import { Emitter } from "./emitter";
import { NoAnswerError, RequestError, SignedOutError } from "./errors";
import { Inbox } from "./inbox";
import {
  type AuthOk,
  type Cursor,
  LIMITS,
  type Requests,
  type Results,
  type ServerFrame,
  type Error as WireError,
} from "./protocol";
import { PendingRequests } from "./requests";
import type { Tokens } from "./tokens";

/** How the connection stands; a person sees it as the banner. */
export type Status =
  /** Not wanted: nobody is signed in. */
  | { kind: "idle" }
  /** On its way; `attempt` counts from 0. */
  | { kind: "connecting"; attempt: number }
  /** Signed in, events arrive. */
  | { kind: "live" }
  /** Comes back by itself at `until`, in milliseconds of this browser's clock. */
  | { kind: "waiting"; attempt: number; until: number }
  /** Does not come back by itself: the page is of another version than the server. */
  | { kind: "stopped" };

/** What the connection needs from around it. */
export interface ConnectionOptions {
  /** Where the server listens: `wss://host/api/v1/ws`. */
  url: string;
  tokens: Tokens;
  /** Where the page stands in each room that it follows, most wanted first. */
  cursors: () => Cursor[];
  /** For tests; the browser's own otherwise. */
  WebSocket?: typeof WebSocket;
}

const SUBPROTOCOL = "bobchat.v1.json";
/** The server gives a connection 5 seconds to sign in; a link that needs more than this is none. */
const OPEN_TIMEOUT_MS = 15_000;
/** A connection that lived this long was good: the next try starts the back-off anew. */
const GOOD_AFTER_MS = 5_000;
/** Requests that only read, and that the server counts as pages. */
const PAGES: ReadonlySet<keyof Requests> = new Set<keyof Requests>([
  "message_history",
  "room_events",
  "room_list",
  "room_search",
  "room_members",
  "room_presence",
  "user_get",
]);

/** How often a page is asked for, and by how much more the attempts are spread each time: some ten seconds in all. */
const PAGE_ATTEMPTS = 12;
const PAGE_SPREAD_MS = 250;

/** Quiet for this long: ask whether the server is still there. */
const QUIET_MS = 20_000;
/** How long that question may take. */
const PING_TIMEOUT_MS = 8_000;
/** The same after a sign that the network changed: somebody may be looking at a dead connection. */
const DOUBTFUL_PING_TIMEOUT_MS = 3_000;
/** Renew the token this long before it ends, or in the last third of a shorter life: several tries fit. */
const RENEW_BEFORE_MS = 120_000;
const RENEW_RETRY_MS = 5_000;
/** A token that ends sooner is exchanged before a connection is opened with it. */
const TOKEN_MIN_MS = 30_000;
/** What a frame with a token and cursors may take, with room for the names around them. */
const AUTH_BYTES_MAX = LIMITS.frame_bytes_before_auth_max - 256;

/** RFC 6455: the data is not what its type says. */
const INVALID_DATA = 1007;

/** What belongs to one socket and ends with it. */
interface Link {
  socket: WebSocket;
  requests: PendingRequests;
  token: string;
  liveSince: number;
  heardAt: number;
  error?: WireError;
}

/**
 * Keeps one signed-in connection to the server for as long as somebody is signed in: comes back after
 * every loss as the close codes and the back-off say, and hands out frames in their order.
 */
export class Connection {
  /** Every change of the status. */
  readonly status = new Emitter<Status>();
  /** The connection is signed in: rooms, and what came of each cursor. Frames follow. */
  readonly live = new Emitter<AuthOk>();
  /** Events and signals, in their order, batched. */
  readonly frames = new Emitter<ServerFrame[]>();
  readonly #options: ConnectionOptions;
  readonly #inbox = new Inbox((frames) => this.frames.emit(frames));
  #status: Status = { kind: "idle" };
  #link: Link | undefined;
  #attempt = 0;
  /** Tells a try that it was overtaken: every start, stop and retry begins a new era. */
  #era = 0;
  #retryTimer: ReturnType<typeof setTimeout> | undefined;
  #renewTimer: ReturnType<typeof setTimeout> | undefined;
  #pulseTimer: ReturnType<typeof setInterval> | undefined;

  constructor(options: ConnectionOptions) {
    this.#options = options;
  }

  /** How the connection stands now. */
  get current(): Status {
    return this.#status;
  }

  /** Connects and stays connected until {@link stop}. */
  start(): void {
    if (this.#status.kind === "idle") void this.#connect();
  }

  /** Ends the connection and does not come back. */
  stop(): void {
    this.#end({ kind: "idle" });
    this.#attempt = 0;
  }

  /** Tries now instead of at the end of the wait. */
  retryNow(): void {
    if (this.#status.kind === "waiting") void this.#connect();
  }

  /** The network or the page changed: find out soon whether the connection still works. */
  nudge(): void {
    if (this.#status.kind === "waiting") this.retryNow();
    else if (this.#status.kind === "live") void this.#ping(DOUBTFUL_PING_TIMEOUT_MS);
  }

  /**
   * Asks the server. Rejects with {@link NoAnswerError} when there is no connection. Pages that were too many wait and are
   * asked for again: a person with thousands of rooms has more of them than the server gives at once.
   */
  async ask<Name extends keyof Requests>(name: Name, body: Requests[Name]): Promise<Results[Name]> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#askNow(name, body);
      } catch (error) {
        if (!PAGES.has(name) || attempt === PAGE_ATTEMPTS) throw error;
        const limited = error instanceof RequestError && error.wire.code === "rate_limited";
        if (!limited) throw error;
        const wait_ms = (error.wire.retry_after_ms ?? 0) + Math.random() * attempt * PAGE_SPREAD_MS;
        await new Promise((resolve) => setTimeout(resolve, wait_ms));
      }
    }
  }

  #askNow<Name extends keyof Requests>(name: Name, body: Requests[Name]): Promise<Results[Name]> {
    if (!this.#link || this.#status.kind !== "live") {
      return Promise.reject(new NoAnswerError(`${name}: not connected`));
    }
    return this.#askOn(this.#link, name, body);
  }

  #askOn<Name extends keyof Requests>(link: Link, name: Name, body: Requests[Name], timeout_ms?: number) {
    return link.requests.ask((frame) => link.socket.send(frame), name, body, timeout_ms);
  }

  async #connect(refused?: string): Promise<void> {
    this.#end({ kind: "connecting", attempt: this.#attempt });
    const era = this.#era;
    try {
      const token = await this.#options.tokens.access(TOKEN_MIN_MS, refused);
      if (era === this.#era) this.#open(token);
    } catch (error) {
      if (era !== this.#era) return;
      // Whoever signed us out has told the tokens' listeners; there is nothing to come back to.
      if (error instanceof SignedOutError) this.stop();
      else this.#wait(backoffDelay(this.#attempt));
    }
  }

  #open(token: string): void {
    const WebSocketClass = this.#options.WebSocket ?? WebSocket;
    const socket = new WebSocketClass(this.#options.url, SUBPROTOCOL);
    const link: Link = { socket, requests: new PendingRequests(), token, liveSince: 0, heardAt: Date.now() };
    this.#link = link;
    const deadline = setTimeout(() => this.#lost(link, 1006), OPEN_TIMEOUT_MS);
    socket.onopen = () => {
      const auth = { token, cursors: fittingCursors(token, this.#options.cursors()) };
      this.#askOn(link, "auth", auth).then(
        (ok) => {
          clearTimeout(deadline);
          if (this.#link === link) this.#becomeLive(link, ok);
        },
        // The server closes after it refused; its close code says what to do.
        (error: unknown) => error instanceof NoAnswerError && this.#lost(link, 1006),
      );
    };
    socket.onmessage = (message: MessageEvent) => this.#receive(link, message.data);
    socket.onclose = (close) => {
      clearTimeout(deadline);
      this.#lost(link, close.code);
    };
  }

  #becomeLive(link: Link, ok: AuthOk): void {
    link.liveSince = Date.now();
    this.#pulseTimer = setInterval(() => this.#pulse(link), QUIET_MS / 4);
    this.#scheduleRenewal(link);
    this.#set({ kind: "live" });
    this.live.emit(ok);
  }

  #receive(link: Link, data: unknown): void {
    if (this.#link !== link || typeof data !== "string") return;
    link.heardAt = Date.now();
    const frame = parseFrame(data);
    if (!frame) return this.#lost(link, INVALID_DATA);
    if (frame.id !== undefined) {
      // What arrived before an answer is seen before it.
      if (frame.error && link.liveSince === 0) link.error = frame.error;
      this.#inbox.flush();
      link.requests.answer(frame.id, frame);
    } else if (frame.error) link.error = frame.error;
    else this.#inbox.add(frame);
  }

  #lost(link: Link, code: number): void {
    if (this.#link !== link) return;
    const lived = link.liveSince > 0 ? Date.now() - link.liveSince : 0;
    const wasGood = lived > GOOD_AFTER_MS;
    if (wasGood) this.#attempt = 0;
    const ending = { code, wasGood, attempt: this.#attempt, ...(link.error && { error: link.error }) };
    const next = afterClose(ending);
    switch (next.do) {
      case "return":
        return this.#wait(next.delay_ms);
      case "refresh":
        this.#attempt += 1;
        return void this.#connect(link.token);
      case "sign_in":
        this.stop();
        return void this.#options.tokens.forget();
      case "stop":
        return this.#end({ kind: "stopped" });
    }
  }

  #wait(delay_ms: number): void {
    this.#end({ kind: "waiting", attempt: this.#attempt, until: Date.now() + delay_ms });
    this.#attempt += 1;
    this.#retryTimer = setTimeout(() => void this.#connect(), delay_ms);
  }

  /** Ends what there is, and stands as `status` says. */
  #end(status: Status): void {
    this.#era += 1;
    clearTimeout(this.#retryTimer);
    clearTimeout(this.#renewTimer);
    clearInterval(this.#pulseTimer);
    const link = this.#link;
    this.#link = undefined;
    this.#inbox.flush();
    if (link) {
      link.socket.onopen = link.socket.onmessage = link.socket.onclose = null;
      link.socket.close();
      link.requests.drop();
    }
    this.#set(status);
  }

  #set(status: Status): void {
    this.#status = status;
    this.status.emit(status);
  }

  /** A browser does not show the server's pings: silence could be a dead link. */
  #pulse(link: Link): void {
    if (this.#link === link && Date.now() - link.heardAt >= QUIET_MS) void this.#ping(PING_TIMEOUT_MS);
  }

  async #ping(timeout_ms: number): Promise<void> {
    const link = this.#link;
    if (!link) return;
    await this.#askOn(link, "ping", {}, timeout_ms).catch((error: unknown) => {
      if (error instanceof NoAnswerError) this.#lost(link, 1006);
    });
  }

  #scheduleRenewal(link: Link): void {
    const left = this.#options.tokens.endsAt() - Date.now();
    const before = Math.min(RENEW_BEFORE_MS, left / 3);
    this.#renewIn(link, left - before, before);
  }

  #renewIn(link: Link, delay_ms: number, validFor_ms: number): void {
    clearTimeout(this.#renewTimer);
    // Tabs share the tokens: the first one exchanges them, spread so that the others find the new ones.
    const spread_ms = Math.random() * Math.min(2_000, validFor_ms / 4);
    this.#renewTimer = setTimeout(
      () => void this.#renew(link, validFor_ms),
      Math.max(0, delay_ms) + spread_ms,
    );
  }

  async #renew(link: Link, validFor_ms: number): Promise<void> {
    try {
      const token = await this.#options.tokens.access(validFor_ms);
      if (this.#link !== link) return;
      if (token !== link.token) await this.#askOn(link, "auth_renew", { token });
      link.token = token;
      this.#scheduleRenewal(link);
    } catch (error) {
      if (this.#link !== link) return;
      if (error instanceof SignedOutError) this.stop();
      else this.#renewIn(link, RENEW_RETRY_MS, validFor_ms);
    }
  }
}

/** Reads a frame; `null` when something in between has mangled it. */
function parseFrame(text: string): ServerFrame | null {
  try {
    return JSON.parse(text) as ServerFrame;
  } catch {
    return null;
  }
}

/** As many cursors, from the first, as fit into a frame before sign-in. */
export function fittingCursors(token: string, cursors: Cursor[]): Cursor[] {
  let room = AUTH_BYTES_MAX - token.length;
  let fitting = 0;
  for (const cursor of cursors.slice(0, LIMITS.cursors_max)) {
    room -= JSON.stringify(cursor).length + 1;
    if (room < 0) break;
    fitting += 1;
  }
  return cursors.slice(0, fitting);
}
