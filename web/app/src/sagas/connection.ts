import type { wire } from "@bobchat/client";
import { delay, fork, put, takeEvery } from "redux-saga/effects";
import type { Client } from "../client";
import { networkChanged, statusChanged } from "../state/connection";
import { retryWanted } from "../state/intents";
import { peopleMet } from "../state/people";
import { roomEntry, roomsReplaced } from "../state/rooms";
import { windowDropped } from "../state/stream";
import { channelOf, get, run, type Saga, windowChannel } from "./effects";
import { restoreOpenRoom } from "./history";
import { applySubscription, subscribe } from "./stream";

/** Subscriptions at once, and the pause between those after: far below the server's limit on frames. */
const SUBSCRIBE_BURST = 30;
const SUBSCRIBE_PAUSE_MS = 50;

/** Carries the connection's state into the page, and the page's wishes to the connection. */
export function* connectionSaga(client: Client): Saga {
  const { connection, outbox } = client;
  yield takeEvery(channelOf(connection.status), function* ({ value }): Saga {
    outbox.setLive(value.kind === "live");
    yield put(statusChanged({ status: value, now: Date.now() }));
  });
  yield takeEvery(channelOf(connection.live), function* ({ value }): Saga {
    yield* cameLive(client, value);
  });
  yield takeEvery(retryWanted, function* (): Saga {
    yield* run(() => connection.retryNow());
  });
  yield fork(watchNetwork, client);
}

/** A changed network, and a page that is looked at again, are reasons to try now. */
function* watchNetwork({ connection }: Client): Saga {
  yield put(networkChanged({ offline: !navigator.onLine }));
  yield takeEvery(windowChannel(window, "online", "offline"), function* (): Saga {
    yield put(networkChanged({ offline: !navigator.onLine }));
    connection.nudge();
  });
  yield takeEvery(windowChannel(document, "visibilitychange" as "focus"), function* (): Saga {
    if (document.visibilityState === "visible") yield* run(() => connection.nudge());
  });
}

/** Brings the page in line with a new connection: first the streams, before any of their events. */
function* cameLive(client: Client, ok: wire.AuthOk): Saga {
  for (const outcome of ok.subscribed) yield* applySubscription(outcome);
  if (ok.user) yield put(peopleMet([ok.user]));
  try {
    const rooms = yield* allRooms(client, ok);
    yield put(roomsReplaced(rooms.map(roomEntry)));
    yield* dropOthers(rooms);
    yield* restoreOpenRoom();
    yield* subscribeRest(client, rooms, ok);
  } catch {
    // The connection ended meanwhile: the next one begins this again.
  }
}

function* allRooms({ connection }: Client, ok: wire.AuthOk): Saga<wire.Room[]> {
  const rooms = [...ok.rooms];
  let hasMore = ok.has_more;
  while (hasMore) {
    const last = rooms.at(-1);
    const page = yield* run(() =>
      connection.ask("room_list", { limit: 200, ...(last && { after: last.id }) }),
    );
    rooms.push(...page.rooms);
    hasMore = page.has_more && page.rooms.length > 0;
  }
  return rooms;
}

/** Forgets the windows of rooms that are not ours any more. */
function* dropOthers(rooms: wire.Room[]): Saga {
  const ours = new Set(rooms.map(({ id }) => id));
  for (const room of Object.keys(yield* get((state) => state.windows))) {
    if (!ours.has(room)) yield put(windowDropped({ room }));
  }
}

/** Subscribes to the rooms that `auth` had no cursor for, the open one first. */
function* subscribeRest(client: Client, rooms: wire.Room[], ok: wire.AuthOk): Saga {
  const done = new Set(ok.subscribed.flatMap(({ room, error }) => (error ? [] : [room])));
  const route = yield* get((state) => state.ui.route);
  const open = route.page === "room" ? route.room : undefined;
  const rest = rooms.map(({ id }) => id).filter((id) => !done.has(id));
  rest.sort((a, b) => Number(b === open) - Number(a === open));
  for (const [index, room] of rest.entries()) {
    yield fork(subscribe, client, room);
    if (index >= SUBSCRIBE_BURST) yield delay(SUBSCRIBE_PAUSE_MS);
  }
}
