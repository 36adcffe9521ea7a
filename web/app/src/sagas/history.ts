import { isLoaded, pageStretch, shownStretch, showsLatest, type wire, wordsFor } from "@bobchat/client";
import { fork, put, takeEvery } from "redux-saga/effects";
import type { Client } from "../client";
import { anchorIn, placeIn } from "../lib/places";
import { latestWanted, newerWanted, olderWanted, roomWanted } from "../state/intents";
import { peopleMet } from "../state/people";
import { roomEntry, roomVisited } from "../state/rooms";
import { type Edge, latestShown, pageAsked, pageCame, pageFailed, streamOpened } from "../state/stream";
import { routeChanged } from "../state/ui";
import type { WindowEntry } from "../state/windows";
import { get, run, type Saga } from "./effects";
import { readHere } from "./presence";

/** Messages a page: two or three screens. */
const PAGE = 50;
/** Up to so many unread messages fit the newest page, with what was read before them. */
const UNREAD_ON_NEWEST_PAGE = 35;

/** Loads what the reader comes to see. */
export function* historySaga(client: Client): Saga {
  yield takeEvery(routeChanged, function* ({ payload }): Saga {
    if (payload.page === "room") yield put(roomWanted({ room: payload.room }));
  });
  yield takeEvery(roomWanted, function* ({ payload }): Saga {
    yield* openRoom(client, payload.room);
  });
  yield takeEvery(streamOpened, function* (): Saga {
    yield* restoreOpenRoom();
  });
  yield takeEvery(olderWanted, function* ({ payload: { room, anchor } }): Saga {
    const entry = yield* get((state) => state.windows[room]);
    if (!entry || !isLoaded(entry.window)) return;
    const { from } = shownStretch(entry.window);
    if (from > 1) yield* loadPage(client, room, "older", { before: from }, anchor);
  });
  yield takeEvery(newerWanted, function* ({ payload: { room, anchor } }): Saga {
    const entry = yield* get((state) => state.windows[room]);
    if (!entry || showsLatest(entry.window)) return;
    yield* loadPage(client, room, "newer", { after: shownStretch(entry.window).to }, anchor);
  });
  yield takeEvery(latestWanted, function* ({ payload: { room } }): Saga {
    yield* showLatest(client, room);
  });
}

/** Asks again for what the open room misses: after a reconnect, a reset, a join. */
export function* restoreOpenRoom(): Saga {
  const route = yield* get((state) => state.ui.route);
  if (route.page === "room") yield put(roomWanted({ room: route.room }));
}

function* openRoom(client: Client, room: wire.Id): Saga {
  if ((yield* get((state) => state.connection.status.kind)) !== "live") return;
  const { loaded, byId, visited } = yield* get((state) => state.rooms);
  if (!loaded) return;
  if (!byId[room]) return yield* visit(client, room, visited[room] !== undefined);
  const entry = yield* get((state) => state.windows[room]);
  // Its subscription is on the way; it asks for this again.
  if (!entry) return;
  if (!(yield* get((state) => state.presence.here[room]))) yield fork(readHere, client, room);
  if (!isLoaded(entry.window)) yield* loadFirst(client, room);
}

/** Looks at a room from outside: whether it can be joined. */
function* visit({ connection }: Client, room: wire.Id, known: boolean): Saga {
  if (known) return;
  try {
    const ok = yield* run(() => connection.ask("room_get", { room }));
    yield put(roomVisited({ id: room, room: ok.room ? roomEntry(ok.room) : null }));
  } catch {
    yield put(roomVisited({ id: room, room: null }));
  }
}

/** The first page of a room: where the reader was, where they stopped reading, or the newest. */
function* loadFirst(client: Client, room: wire.Id): Saga {
  const place = placeIn(room);
  const { entry, read } = yield* get((state) => ({ entry: state.rooms.byId[room], read: state.reads[room] }));
  const unread = read && entry ? entry.ordinal - read.ordinal : 0;
  const around =
    place && !place.atLatest ? place.seq : read && unread > UNREAD_ON_NEWEST_PAGE ? read.seq : undefined;
  yield* loadPage(client, room, "first", around ? { around } : {}, around ?? null, around ?? null);
}

/** Shows the newest messages: they are fetched when they are not there, not merely scrolled to. */
function* showLatest(client: Client, room: wire.Id): Saga {
  const entry = yield* get((state) => state.windows[room]);
  if (!entry || showsLatest(entry.window)) return;
  yield* loadPage(client, room, "first", {}, null, null);
  yield put(latestShown({ room }));
}

type Query = Pick<wire.MessageHistory, "before" | "after" | "around">;

function* loadPage(
  client: Client,
  room: wire.Id,
  edge: Edge,
  query: Query,
  anchor: number | null,
  focus?: number | null,
): Saga {
  const entry = yield* get((state) => state.windows[room]);
  if (!entry || entry.asked) return;
  yield put(pageAsked({ room, edge }));
  // What the room is known to have when the page is asked for: the page covers at least that.
  const head = entry.window.cursor.seq;
  try {
    const page = yield* run(() => client.connection.ask("message_history", { room, limit: PAGE, ...query }));
    yield put(peopleMet(page.users));
    const current: WindowEntry | undefined = yield* get((state) => state.windows[room]);
    // A reset meanwhile began another window: this page may be of the log before.
    if (current?.asked !== edge) return;
    const stretch = pageStretch(query, page, head);
    const at = edge === "first" ? anchor : (anchorIn(room) ?? anchor);
    yield put(pageCame({ room, edge, stretch, anchor: at, ...(focus !== undefined && { focus }) }));
    client.outbox.settle(page.messages);
  } catch (error) {
    yield put(pageFailed({ room, edge, words: wordsFor(error) }));
  }
}
