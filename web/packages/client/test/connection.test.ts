import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Connection, fittingCursors, type Status } from "../src/connection";
import { NoAnswerError, RequestError } from "../src/errors";
import { tabLocks } from "../src/locks";
import type { ClientFrame, Cursor, ServerFrame } from "../src/protocol";
import type { Rest } from "../src/rest";
import { memoryTokenStore } from "../src/token_store";
import { Tokens } from "../src/tokens";
import { message, ROOM } from "./events";

/** The server's end of a socket. */
class FakeSocket {
  static all: FakeSocket[] = [];
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: string }) => void) | null = null;
  onclose: ((event: { code: number }) => void) | null = null;
  readonly sent: ClientFrame[] = [];
  /** Answers by itself, unless a test wants to be the server. */
  answers = true;

  constructor() {
    FakeSocket.all.push(this);
  }

  send(frame: string) {
    const request = JSON.parse(frame) as ClientFrame;
    this.sent.push(request);
    if (!this.answers) return;
    if (request.auth) this.say({ id: request.id, ok: { auth: authOk } });
    if (request.ping) this.say({ id: request.id, ok: { ping: { at: "" } } });
    if (request.auth_renew) this.say({ id: request.id, ok: { auth_renew: { expires_at: "" } } });
  }

  close() {}

  say(frame: ServerFrame) {
    this.onmessage?.({ data: JSON.stringify(frame) });
  }
}

const authOk = { expires_at: "", rooms: [], has_more: false, subscribed: [] };
let grants = 0;
const grant = async () => ({
  user: { id: "7", handle: "ada", name: "Ada" },
  access_token: `h.${Buffer.from(JSON.stringify({ iat: 0, exp: 900, grant: ++grants })).toString("base64url")}.s`,
  access_expires_at: "",
  refresh_token: "r",
});
const rest: Rest = { createGuest: grant, refresh: grant, endSession: async () => {} };

async function opened(cursors: Cursor[] = []) {
  const tokens = await Tokens.open(memoryTokenStore(), tabLocks(), rest);
  await tokens.signIn("Ada");
  const WebSocket = FakeSocket as unknown as typeof globalThis.WebSocket;
  const connection = new Connection({ url: "ws://test", tokens, cursors: () => cursors, WebSocket });
  const statuses: Status["kind"][] = [];
  connection.status.listen(({ kind }) => statuses.push(kind));
  connection.start();
  await vi.advanceTimersByTimeAsync(0);
  return { connection, tokens, statuses };
}

async function live(cursors: Cursor[] = []) {
  const all = await opened(cursors);
  FakeSocket.all.at(-1)?.onopen?.();
  await vi.advanceTimersByTimeAsync(0);
  return { ...all, socket: FakeSocket.all.at(-1)! };
}

beforeEach(() => {
  vi.useFakeTimers();
  FakeSocket.all = [];
});
afterEach(() => {
  vi.useRealTimers();
});

describe("a connection", () => {
  test("signs in with the token and the cursors in one frame", async () => {
    const cursors = [{ room: ROOM, epoch: 1, seq: 5 }];
    const { connection, socket, tokens } = await live(cursors);
    expect(socket.sent).toEqual([{ id: 1, auth: { token: await tokens.access(0), cursors } }]);
    expect(connection.current.kind).toBe("live");
  });

  test("hands out events batched, in order, and before an answer that came after them", async () => {
    const { connection, socket } = await live();
    const seen: string[] = [];
    connection.frames.listen((frames) => seen.push(frames.map((frame) => frame.event?.seq).join()));
    const asked = connection.ask("room_get", { room: ROOM }).then(() => seen.push("answer"));
    socket.say({ event: message(1) });
    socket.say({ event: message(2) });
    socket.say({ id: 2, ok: { room_get: {} } });
    socket.say({ event: message(3) });
    await asked;
    await vi.advanceTimersByTimeAsync(20);
    expect(seen).toEqual(["1,2", "answer", "3"]);
  });

  test("tells requests apart from one another, and errors from answers", async () => {
    const { connection, socket } = await live();
    const first = connection.ask("room_get", { room: "1" });
    const second = connection.ask("room_get", { room: "2" });
    const refused = expect(second).rejects.toThrow(RequestError);
    socket.say({ id: 3, error: { code: "not_found", message: "no", temporary: false } });
    socket.say({ id: 2, ok: { room_get: { room: undefined } } });
    await refused;
    await expect(first).resolves.toEqual({});
  });

  test("waits and asks again for a page that was one too many, and for nothing else", async () => {
    const { connection, socket } = await live();
    const limited = {
      code: "rate_limited" as const,
      message: "too many pages were asked for",
      temporary: true,
    };
    const refuse = () =>
      socket.say({ id: socket.sent.at(-1)!.id, error: { ...limited, retry_after_ms: 40 } });
    const page = connection.ask("room_list", {});
    refuse();
    await vi.advanceTimersByTimeAsync(39);
    expect(socket.sent).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(500);
    expect(socket.sent).toHaveLength(3);
    socket.say({ id: socket.sent.at(-1)!.id, ok: { room_list: { rooms: [], has_more: false } } });
    expect(await page).toEqual({ rooms: [], has_more: false });
    const sent = connection.ask("message_send", { room: ROOM, key: "k", text: "hi" });
    const refused = expect(sent).rejects.toThrow("too many pages");
    refuse();
    await refused;
    expect(socket.sent).toHaveLength(4);
  });

  test("ends what was asked when it is lost, and comes back", async () => {
    const { connection, socket, statuses } = await live();
    const asked = expect(connection.ask("room_get", { room: "1" })).rejects.toThrow(NoAnswerError);
    socket.onclose?.({ code: 1006 });
    await asked;
    await vi.advanceTimersByTimeAsync(600);
    FakeSocket.all.at(-1)?.onopen?.();
    await vi.advanceTimersByTimeAsync(0);
    expect(statuses).toEqual(["connecting", "live", "waiting", "connecting", "live"]);
  });

  test("waits longer and longer for a server that is away, and tries at once when told", async () => {
    vi.spyOn(Math, "random").mockReturnValue(0.99);
    const { connection } = await opened();
    for (let attempt = 0; attempt < 5; attempt++) {
      FakeSocket.all.at(-1)?.onclose?.({ code: 1006 });
      const { current } = connection;
      expect(current).toMatchObject({ kind: "waiting", attempt });
      await vi.advanceTimersByTimeAsync(500 * 2 ** attempt);
    }
    FakeSocket.all.at(-1)?.onclose?.({ code: 1006 });
    const before = FakeSocket.all.length;
    connection.retryNow();
    await vi.advanceTimersByTimeAsync(0);
    expect(FakeSocket.all.length).toBe(before + 1);
    vi.restoreAllMocks();
  });

  test("finds a dead link by asking after silence", async () => {
    const { connection, socket } = await live();
    socket.answers = false;
    await vi.advanceTimersByTimeAsync(20_000 + 8_000 + 5_000);
    expect(socket.sent.at(-1)).toHaveProperty("ping");
    expect(connection.current.kind).not.toBe("live");
  });

  test("renews the token on the live socket before it ends", async () => {
    const { connection, socket } = await live();
    await vi.advanceTimersByTimeAsync(783_000);
    const renewed = socket.sent.filter((frame) => frame.auth_renew);
    expect(renewed.length).toBe(1);
    expect(renewed[0]?.auth_renew?.token).not.toBe(socket.sent[0]?.auth?.token);
    expect([connection.current.kind, FakeSocket.all.length]).toEqual(["live", 1]);
  });

  test("gets another token when the server says that this one ended", async () => {
    const { socket } = await live();
    await vi.advanceTimersByTimeAsync(6_000);
    socket.onclose?.({ code: 4401 });
    await vi.advanceTimersByTimeAsync(0);
    const next = FakeSocket.all.at(-1)!;
    next.onopen?.();
    expect(next).not.toBe(socket);
    expect(next.sent[0]?.auth?.token).not.toBe(socket.sent[0]?.auth?.token);
  });

  test("forgets the tokens when the server signed this person out", async () => {
    const { connection, tokens, socket } = await live();
    socket.onclose?.({ code: 4403 });
    await vi.advanceTimersByTimeAsync(0);
    expect([connection.current.kind, tokens.user()]).toEqual(["idle", null]);
  });

  test("does not come back to a server of another protocol", async () => {
    const { connection, socket } = await live();
    socket.onclose?.({ code: 4406 });
    await vi.advanceTimersByTimeAsync(120_000);
    expect([connection.current.kind, FakeSocket.all.length]).toEqual(["stopped", 1]);
  });

  test("fits the first frame into what a stranger may send", () => {
    const cursors = Array.from({ length: 300 }, (_, n) => ({
      room: String(9e17 + n),
      epoch: 1,
      seq: 1e6 + n,
    }));
    const token = "t".repeat(500);
    const fitting = fittingCursors(token, cursors);
    const frame = JSON.stringify({ id: 1, auth: { token, cursors: fitting } });
    expect(fitting.length).toBeGreaterThan(40);
    expect(frame.length).toBeLessThanOrEqual(4096);
    expect(fitting).toEqual(cursors.slice(0, fitting.length));
  });
});
