import { shownStretch, type wire } from "@bobchat/client";
import { describe, expect, test } from "vitest";
import { joined, message, messages, ROOM } from "../../packages/client/test/events";
import { membersRead, membersReducer } from "../src/state/members";
import { hereRead, presenceChanged, presenceReducer, typingSeen, typingSwept } from "../src/state/presence";
import { readsReducer, readUpTo } from "../src/state/reads";
import { roomEntry, roomsReducer, roomsReplaced } from "../src/state/rooms";
import { signedOut } from "../src/state/session";
import { eventsReceived, pageAsked, pageCame, pageFailed, streamOpened } from "../src/state/stream";
import { type WindowsState, windowsReducer } from "../src/state/windows";

const room: wire.Room = {
  id: ROOM,
  settings: { name: "garden", topic: "", kind: "public", history: "everything" },
  head: { epoch: 1, seq: 10 },
  ordinal: 8,
  member_count: 3,
  role: "member",
  changed_at: "2026-11-22T05:00:00.000000Z",
};
const came = (events: wire.Event[]) => eventsReceived({ room: ROOM, events, anchor: null });

describe("rooms", () => {
  const known = roomsReducer(undefined, roomsReplaced([roomEntry(room)]));

  test("follow their events", () => {
    const renamed = { ...joined(12), joined: undefined, settings: { name: "orchard" } };
    const { byId } = roomsReducer(known, came([joined(11), renamed, message(13, { ordinal: 9 })]));
    expect(byId[ROOM]).toMatchObject({ name: "orchard", memberCount: 4, ordinal: 9, head: { seq: 13 } });
  });

  test("count a replayed event once", () => {
    expect(roomsReducer(known, came([joined(9), joined(10)])).byId[ROOM]?.memberCount).toBe(3);
    const once = roomsReducer(known, came([joined(11)]));
    expect(roomsReducer(once, came([joined(11)]))).toEqual(once);
  });

  test("that are not in the list any more are gone", () => {
    expect(roomsReducer(known, roomsReplaced([])).byId).toEqual({});
  });
});

describe("windows", () => {
  const opened = windowsReducer({}, streamOpened({ room: ROOM, head: { epoch: 1, seq: 10 } }));
  const seqs = (state: WindowsState) => shownStretch(state[ROOM]!.window).messages.map(({ seq }) => seq);

  test("take a page and live events in whatever order", () => {
    const page = pageCame({
      room: ROOM,
      edge: "first",
      stretch: { from: 0, to: 10, messages: messages(8, 10) },
      anchor: null,
    });
    const live = came([message(11)]);
    expect(seqs(windowsReducer(windowsReducer(opened, page), live))).toEqual([8, 9, 10, 11]);
    expect(seqs(windowsReducer(windowsReducer(opened, live), page))).toEqual([8, 9, 10, 11]);
  });

  test("know what they wait for, and why it did not come", () => {
    const asked = windowsReducer(opened, pageAsked({ room: ROOM, edge: "first" }));
    expect(asked[ROOM]?.asked).toBe("first");
    const failed = windowsReducer(asked, pageFailed({ room: ROOM, edge: "first", words: "No." }));
    expect(failed[ROOM]).toMatchObject({ asked: null, failed: { edge: "first", words: "No." } });
  });

  test("begin anew at a reset, and end with the session", () => {
    const reset = windowsReducer(opened, streamOpened({ room: ROOM, head: { epoch: 2, seq: 4 } }));
    expect(reset[ROOM]?.window.cursor).toEqual({ epoch: 2, seq: 4 });
    expect(windowsReducer(opened, signedOut({ words: null }))).toEqual({});
  });

  test("of rooms that are not ours take nothing", () => {
    expect(windowsReducer({}, came([message(1)]))).toEqual({});
  });
});

describe("read marks", () => {
  test("go forward only", () => {
    const read = readsReducer(undefined, readUpTo({ room: ROOM, seq: 10, ordinal: 8 }));
    expect(readsReducer(read, readUpTo({ room: ROOM, seq: 5, ordinal: 4 }))).toEqual(read);
  });
});

describe("presence", () => {
  const here = presenceReducer(undefined, hereRead({ room: ROOM, here: { count: 1, users: ["7"] } }));

  test("counts each person once", () => {
    const came = presenceChanged({ room: ROOM, user: "8", online: true });
    const twice = presenceReducer(presenceReducer(here, came), came);
    expect(twice.here[ROOM]).toEqual({ count: 2, users: ["7", "8"] });
    const left = presenceReducer(twice, presenceChanged({ room: ROOM, user: "7", online: false }));
    expect(left.here[ROOM]).toEqual({ count: 1, users: ["8"] });
  });

  test("typing ends by itself, or with the message", () => {
    const typing = presenceReducer(here, typingSeen({ room: ROOM, user: "7", until: 100 }));
    expect(presenceReducer(typing, typingSwept({ now: 99 })).typing[ROOM]).toEqual({ "7": 100 });
    expect(presenceReducer(typing, typingSwept({ now: 100 })).typing[ROOM]).toEqual({});
    expect(presenceReducer(typing, came([message(1, { author: "7" })])).typing[ROOM]).toEqual({});
  });
});

describe("members", () => {
  test("grow by pages and go stale when somebody comes or goes", () => {
    const member = (id: string) => ({
      user: { id, handle: id, name: id },
      role: "member" as const,
      joined_at: "",
    });
    const page = (id: string, has_more: boolean) => ({ members: [member(id)], has_more });
    const first = membersReducer(undefined, membersRead({ room: ROOM, first: true, page: page("1", true) }));
    const all = membersReducer(first, membersRead({ room: ROOM, first: false, page: page("2", false) }));
    expect(all[ROOM]).toMatchObject({
      hasMore: false,
      stale: false,
      members: [{ user: "1" }, { user: "2" }],
    });
    expect(membersReducer(all, came([message(1)]))[ROOM]?.stale).toBe(false);
    expect(membersReducer(all, came([joined(2)]))[ROOM]?.stale).toBe(true);
  });
});
