import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { NoAnswerError, RequestError } from "../src/errors";
import { tabLocks } from "../src/locks";
import { Outbox, type OutboxEntry } from "../src/outbox";
import { tabOutboxStore } from "../src/outbox_store";
import type { MessageSend, MessageSendOk } from "../src/protocol";
import { memoryValues } from "../src/storage";
import { message, ROOM } from "./events";

const ME = "7";

/** A server that honours keys: the same key adds one message. */
class FakeRoom {
  readonly added: MessageSend[] = [];
  readonly asked: MessageSend[] = [];
  /** What happens to the next requests: an error before, or an answer lost after, the message is added. */
  faults: ("lost answer" | Error)[] = [];

  send = async (message: MessageSend): Promise<MessageSendOk> => {
    this.asked.push(message);
    const fault = this.faults.shift();
    if (fault instanceof Error) throw fault;
    let at = this.added.findIndex(({ key }) => key === message.key);
    if (at < 0) at = this.added.push(message) - 1;
    if (fault) throw new NoAnswerError("lost");
    return { room: message.room, position: { epoch: 1, seq: at + 1 }, ordinal: at + 1, id: "1", at: "" };
  };

  get texts() {
    return this.added.map(({ text }) => text);
  }
}

const refusal = (code: string, temporary: boolean, retry_after_ms?: number) =>
  new RequestError({
    code,
    message: "no",
    temporary,
    ...(retry_after_ms !== undefined && { retry_after_ms }),
  });

const store = () => tabOutboxStore(memoryValues(), memoryValues(), tabLocks());
const states = (entries: readonly OutboxEntry[]) => entries.map(({ text, state }) => `${text} ${state}`);

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

async function opened(room: FakeRoom, values = store()) {
  const outbox = new Outbox(values, room.send);
  await outbox.restore(ME);
  outbox.setLive(true);
  return outbox;
}

describe("sending", () => {
  test("goes out in the order of writing, one at a time", async () => {
    const room = new FakeRoom();
    const outbox = await opened(room);
    for (const text of ["a", "b", "c"]) outbox.add(ME, ROOM, text);
    await vi.runAllTimersAsync();
    expect(room.texts).toEqual(["a", "b", "c"]);
    expect(states(outbox.entries)).toEqual(["a sent", "b sent", "c sent"]);
  });

  test("says when its key was made with the first try alone", async () => {
    const room = new FakeRoom();
    room.faults = ["lost answer"];
    const outbox = await opened(room);
    const before = Date.now();
    outbox.add(ME, ROOM, "a");
    await vi.runAllTimersAsync();
    expect(room.asked.map(({ made_at }) => made_at)).toEqual([new Date(before).toISOString(), undefined]);
    expect(room.texts).toEqual(["a"]);
  });

  test("tries without the time of its key where the clock is wrong", async () => {
    const room = new FakeRoom();
    const wrong = { code: "invalid_request", message: "no", temporary: false, field: "made_at" };
    room.faults = [new RequestError(wrong)];
    const outbox = await opened(room);
    outbox.add(ME, ROOM, "a");
    await vi.runAllTimersAsync();
    expect(room.added.map(({ text, made_at }) => [text, made_at])).toEqual([["a", undefined]]);
  });

  test("waits for a connection and then goes out once", async () => {
    const room = new FakeRoom();
    const outbox = new Outbox(store(), room.send);
    await outbox.restore(ME);
    outbox.add(ME, ROOM, "patient");
    await vi.runAllTimersAsync();
    expect([room.asked.length, states(outbox.entries)]).toEqual([0, ["patient waiting"]]);
    outbox.setLive(true);
    outbox.setLive(true);
    await vi.runAllTimersAsync();
    expect(room.texts).toEqual(["patient"]);
  });

  test("an answer that was lost is asked for again under the same key and adds nothing", async () => {
    const room = new FakeRoom();
    const outbox = await opened(room);
    room.faults = ["lost answer"];
    outbox.add(ME, ROOM, "once");
    await vi.runAllTimersAsync();
    expect(new Set(room.asked.map(({ key }) => key)).size).toBe(1);
    expect([room.asked.length, room.texts]).toEqual([2, ["once"]]);
  });

  test("a rate limit is waited for, and the order stays", async () => {
    const room = new FakeRoom();
    const outbox = await opened(room);
    room.faults = [refusal("rate_limited", true, 2_000)];
    outbox.add(ME, ROOM, "a");
    outbox.add(ME, ROOM, "b");
    await vi.advanceTimersByTimeAsync(1_999);
    expect(room.texts).toEqual([]);
    await vi.runAllTimersAsync();
    expect(room.texts).toEqual(["a", "b"]);
  });

  test("a lasting refusal fails with words and lets the next one pass", async () => {
    const room = new FakeRoom();
    const outbox = await opened(room);
    room.faults = [refusal("forbidden", false)];
    outbox.add(ME, ROOM, "a");
    outbox.add(ME, ROOM, "b");
    await vi.runAllTimersAsync();
    expect(states(outbox.entries)).toEqual(["a failed", "b sent"]);
    expect(outbox.entries[0]?.words).toBe("No.");
  });

  test("passing faults without end become a failure, and its retry keeps the key", async () => {
    const room = new FakeRoom();
    const outbox = await opened(room);
    room.faults = Array.from({ length: 7 }, () => refusal("busy", true));
    const { key } = outbox.add(ME, ROOM, "stubborn");
    await vi.runAllTimersAsync();
    expect(states(outbox.entries)).toEqual(["stubborn failed"]);
    outbox.retry(key);
    outbox.retry(key);
    await vi.runAllTimersAsync();
    expect(room.texts).toEqual(["stubborn"]);
    expect(new Set(room.asked.map((asked) => asked.key))).toEqual(new Set([key]));
  });

  test("a key is not used again when it is about to be forgotten", async () => {
    const room = new FakeRoom();
    const outbox = await opened(room);
    room.faults = [refusal("forbidden", false)];
    const { key } = outbox.add(ME, ROOM, "old");
    await vi.advanceTimersByTimeAsync(0);
    await vi.advanceTimersByTimeAsync(23.5 * 60 * 60 * 1000);
    outbox.retry(key);
    await vi.runAllTimersAsync();
    expect(room.asked.length).toBe(1);
    expect(outbox.entries[0]).toMatchObject({ state: "failed", final: true });
  });
});

describe("settling", () => {
  test("the event of a message ends its way, before or after the answer", async () => {
    const room = new FakeRoom();
    const outbox = await opened(room);
    const before = outbox.add(ME, ROOM, "echo first");
    outbox.settle([message(1, { author: ME, key: before.key })]);
    await vi.runAllTimersAsync();
    const after = outbox.add(ME, ROOM, "ack first");
    await vi.runAllTimersAsync();
    expect(states(outbox.entries)).toEqual(["ack first sent"]);
    outbox.settle([message(2, { author: ME, key: after.key })]);
    expect(outbox.entries).toEqual([]);
  });

  test("somebody else's key settles nothing", async () => {
    const outbox = await opened(new FakeRoom());
    const { key } = outbox.add(ME, ROOM, "mine");
    outbox.settle([message(1, { author: "8", key })]);
    expect(outbox.entries.length).toBe(1);
  });

  test("what was acked at a place that was seen is done", async () => {
    const outbox = await opened(new FakeRoom());
    outbox.add(ME, ROOM, "seen");
    await vi.runAllTimersAsync();
    outbox.settleUpTo(ROOM, 0);
    expect(outbox.entries.length).toBe(1);
    outbox.settleUpTo(ROOM, 1);
    expect(outbox.entries).toEqual([]);
  });
});

describe("over a reload", () => {
  test("what was not acked goes out once, under its key", async () => {
    const [shared, ofTab] = [memoryValues(), memoryValues()];
    const room = new FakeRoom();
    const before = await opened(room, tabOutboxStore(shared, ofTab, tabLocks()));
    room.faults = ["lost answer"];
    before.add(ME, ROOM, "survivor");
    await vi.advanceTimersByTimeAsync(0);
    before.setLive(false);
    const after = await opened(room, tabOutboxStore(shared, ofTab, tabLocks()));
    await vi.runAllTimersAsync();
    expect([room.texts, states(after.entries)]).toEqual([["survivor"], ["survivor sent"]]);
  });

  test("a failed message stays failed until a person decides", async () => {
    const [shared, ofTab] = [memoryValues(), memoryValues()];
    const room = new FakeRoom();
    const before = await opened(room, tabOutboxStore(shared, ofTab, tabLocks()));
    room.faults = [refusal("forbidden", false)];
    before.add(ME, ROOM, "refused");
    await vi.runAllTimersAsync();
    const after = await opened(room, tabOutboxStore(shared, ofTab, tabLocks()));
    await vi.runAllTimersAsync();
    expect(states(after.entries)).toEqual(["refused failed"]);
    after.remove(after.entries[0]!.key);
    expect(await tabOutboxStore(shared, ofTab, tabLocks()).load()).toEqual([]);
  });

  test("a tab that lives keeps its own; a tab that is gone leaves it to the next", async () => {
    const shared = memoryValues();
    const locks = tabLocks();
    const offline = new Outbox(tabOutboxStore(shared, memoryValues(), locks), new FakeRoom().send);
    await offline.restore(ME);
    offline.add(ME, ROOM, "from the other tab");
    expect(await tabOutboxStore(shared, memoryValues(), locks).load()).toEqual([]);
    const heir = await tabOutboxStore(shared, memoryValues(), tabLocks()).load();
    expect(heir.map(({ text }) => text)).toEqual(["from the other tab"]);
  });

  test("nobody gets what somebody else wrote", async () => {
    const [shared, ofTab] = [memoryValues(), memoryValues()];
    const before = new Outbox(tabOutboxStore(shared, ofTab, tabLocks()), new FakeRoom().send);
    await before.restore(ME);
    before.add(ME, ROOM, "private");
    const after = new Outbox(tabOutboxStore(shared, ofTab, tabLocks()), new FakeRoom().send);
    await after.restore("8");
    expect(after.entries).toEqual([]);
  });
});
