import { hasHole, RequestError, type wire } from "@bobchat/client";
import { delay, fork, put, takeEvery } from "redux-saga/effects";
import type { Client } from "../client";
import { anchorIn } from "../lib/places";
import { navigate } from "../lib/route";
import { presenceChanged, typingSeen, typingSwept } from "../state/presence";
import { readUpTo } from "../state/reads";
import { roomEntry, roomGone, roomSeen } from "../state/rooms";
import { eventsReceived, streamOpened, windowDropped } from "../state/stream";
import { channelOf, get, run, type Saga } from "./effects";
import { restoreOpenRoom } from "./history";
import { meetAuthors } from "./people";

const TYPING_LIFETIME_MS = 6_000;
/** Rooms whose hole is being filled. */
const filling = new Set<wire.Id>();

/** Takes in what the server says by itself: events and signals, batch by batch, in their order. */
export function* streamSaga(client: Client): Saga {
  yield takeEvery(channelOf(client.connection.frames), function* ({ value }): Saga {
    let events: wire.Event[] = [];
    for (const frame of value) {
      if (frame.event) events.push(frame.event);
      else {
        yield* takeEvents(client, events);
        events = [];
        yield* takeSignal(client, frame);
      }
    }
    yield* takeEvents(client, events);
  });
}

function* takeEvents(client: Client, events: wire.Event[]): Saga {
  const byRoom = new Map<wire.Id, wire.Event[]>();
  for (const event of events) {
    const ofRoom = byRoom.get(event.room);
    if (ofRoom) ofRoom.push(event);
    else byRoom.set(event.room, [event]);
  }
  for (const [room, ofRoom] of byRoom) yield* takeRoomEvents(client, room, ofRoom);
}

function* takeRoomEvents(client: Client, room: wire.Id, events: wire.Event[]): Saga {
  const before = yield* get((state) => state.windows[room]?.window);
  if (before && events.some(({ epoch, seq }) => epoch > before.cursor.epoch && seq <= before.cursor.seq)) {
    // A new run of the log below what was seen, and no `reset` for it: begin anew to be sure.
    yield put(windowDropped({ room }));
    yield* subscribe(client, room);
    return yield* restoreOpenRoom();
  }
  yield put(eventsReceived({ room, events, anchor: anchorIn(room) }));
  client.outbox.settle(events);
  yield* readOwn(events);
  const window = yield* get((state) => state.windows[room]?.window);
  if (window) client.outbox.settleUpTo(room, window.cursor.seq);
  if (window && hasHole(window)) yield fork(fillHole, client, room);
  yield fork(meetAuthors, client, events);
}

/** What one wrote oneself, on whatever device, one has read, and all before it. */
function* readOwn(events: wire.Event[]): Saga {
  const me = yield* get((state) => state.session.me?.id);
  const own = events.findLast(({ author, ordinal }) => author === me && ordinal !== undefined);
  if (own?.ordinal !== undefined) yield put(readUpTo({ room: own.room, seq: own.seq, ordinal: own.ordinal }));
}

/** Reads the events between the cursor and what was seen beyond it. */
function* fillHole(client: Client, room: wire.Id): Saga {
  if (filling.has(room)) return;
  filling.add(room);
  try {
    for (let hasMore = true; hasMore; ) {
      const window = yield* get((state) => state.windows[room]?.window);
      if (!window || !hasHole(window)) break;
      const after = window.cursor.seq;
      const page = yield* run(() => client.connection.ask("room_events", { room, after, limit: 200 }));
      yield put(eventsReceived({ room, events: page.events, anchor: anchorIn(room) }));
      hasMore = page.events.length > 0;
    }
  } catch {
    // The connection ended: the next one resumes from the cursor, which is before the hole.
  } finally {
    filling.delete(room);
  }
}

function* takeSignal(client: Client, frame: wire.ServerFrame): Saga {
  if (frame.typing) yield fork(sawTyping, frame.typing);
  if (frame.presence) {
    yield put(presenceChanged(frame.presence));
    yield fork(meetAuthors, client, [{ author: frame.presence.user }]);
  }
  if (frame.membership) yield* membershipChanged(client, frame.membership);
  if (frame.reset?.head) {
    yield put(streamOpened({ room: frame.reset.room, head: frame.reset.head }));
    yield* restoreOpenRoom();
  }
}

function* sawTyping({ room, user }: wire.TypingSignal): Saga {
  yield put(typingSeen({ room, user, until: Date.now() + TYPING_LIFETIME_MS }));
  yield delay(TYPING_LIFETIME_MS + 50);
  yield put(typingSwept({ now: Date.now() }));
}

function* membershipChanged(client: Client, { room, member }: wire.MembershipSignal): Saga {
  if (!room) return;
  if (member) yield fork(entered, client, room);
  else yield* left(room.id);
}

/** A room became ours: it stands in the list, and its events come from now on. */
export function* entered(client: Client, room: wire.Room): Saga {
  const isNew = !(yield* get((state) => state.rooms.byId[room.id]));
  yield put(roomSeen(roomEntry(room)));
  if (!isNew) return;
  yield put(readUpTo({ room: room.id, seq: room.head?.seq ?? 0, ordinal: room.ordinal }));
  yield* subscribe(client, room.id);
  yield* restoreOpenRoom();
}

/** A room is not ours any more. */
export function* left(room: wire.Id): Saga {
  const route = yield* get((state) => state.ui.route);
  if (route.page === "room" && route.room === room) navigate({ page: "rooms" }, true);
  yield put(roomGone(room));
  yield put(windowDropped({ room }));
}

/** Starts to receive a room; from where the page stands in it, if it stands anywhere. */
export function* subscribe(client: Client, room: wire.Id): Saga {
  const cursor = yield* get((state) => state.windows[room]?.window.cursor);
  try {
    const ok = yield* run(() => client.connection.ask("subscribe", { room, ...(cursor && { cursor }) }));
    yield* applySubscription(ok);
    yield* restoreOpenRoom();
  } catch (error) {
    if (!(error instanceof RequestError) || !cursor) return;
    yield put(windowDropped({ room }));
    if (error.wire.code === "invalid_cursor") yield* subscribe(client, room);
  }
}

/** Takes in what came of a subscription, before any event that follows it. */
export function* applySubscription({ room, head, reset, error }: wire.SubscribeOk): Saga {
  const known = yield* get((state) => state.windows[room] !== undefined);
  if (error) {
    if (known) yield put(windowDropped({ room }));
  } else if (head && (reset || !known)) yield put(streamOpened({ room, head }));
}
