import { newKey, type wire } from "@bobchat/client";
import { debounce, put, takeEvery } from "redux-saga/effects";
import type { Client } from "../client";
import { navigate } from "../lib/route";
import { browseAsked, browseFound } from "../state/browse";
import {
  browseMoreWanted,
  browseWanted,
  createWanted,
  inviteWanted,
  joinWanted,
  leaveWanted,
  membersWanted,
} from "../state/intents";
import { roomEntry } from "../state/rooms";
import { dialogClosed } from "../state/ui";
import { get, run, type Saga, task } from "./effects";
import { entered, left } from "./stream";

const FOUND_PAGE = 50;
const SEARCH_AFTER_MS = 150;

/** Making, finding, joining and leaving rooms. */
export function* roomsSaga(client: Client): Saga {
  const { connection } = client;
  yield takeEvery(createWanted, function* ({ payload }): Saga {
    yield* task("create", () => createRoom(client, payload));
  });
  yield takeEvery(joinWanted, function* ({ payload: { room } }): Saga {
    yield* task(`join:${room}`, function* () {
      const ok = yield* run(() => connection.ask("room_join", { room }));
      navigate({ page: "room", room });
      if (ok.room) yield* entered(client, ok.room);
    });
  });
  yield takeEvery(leaveWanted, function* ({ payload: { room } }): Saga {
    yield* task(`leave:${room}`, function* () {
      yield* run(() => connection.ask("room_leave", { room }));
      yield* left(room);
    });
  });
  yield takeEvery(inviteWanted, function* ({ payload: { room, user } }): Saga {
    yield* task(`invite:${room}:${user}`, function* () {
      yield* run(() => connection.ask("room_invite", { room, user }));
      yield put(membersWanted({ room }));
    });
  });
  yield takeEvery(browseWanted, function* ({ payload }): Saga {
    yield put(browseAsked(payload.query.trim()));
  });
  yield debounce(SEARCH_AFTER_MS, browseWanted, function* (): Saga {
    yield* task("browse", () => search(client, true));
  });
  yield takeEvery(browseMoreWanted, function* (): Saga {
    yield* task("browse", () => search(client, false));
  });
}

/** One key for one filled-in form: sending it again after a lost answer makes no second room. */
let formKey: { form: string; key: string } | undefined;

function* createRoom(client: Client, form: { name: string; topic: string; kind: wire.RoomKind }): Saga {
  const written = JSON.stringify(form);
  if (formKey?.form !== written) formKey = { form: written, key: newKey() };
  const { key } = formKey;
  const ok = yield* run(() => client.connection.ask("room_create", { ...form, key }));
  formKey = undefined;
  if (!ok.room) return;
  yield put(dialogClosed());
  navigate({ page: "room", room: ok.room.id });
  yield* entered(client, ok.room);
}

function* search({ connection }: Client, first: boolean): Saga {
  const { query, found } = yield* get((state) => state.browse);
  const last = first ? undefined : found.at(-1);
  const request = { query, limit: FOUND_PAGE, ...(last && { after: last.id }) };
  const ok = yield* run(() => connection.ask("room_search", request));
  yield put(browseFound({ query, rooms: ok.rooms.map(roomEntry), hasMore: ok.has_more, first }));
}
