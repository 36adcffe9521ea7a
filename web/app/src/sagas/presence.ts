import type { wire } from "@bobchat/client";
import { put, takeEvery, takeLatest } from "redux-saga/effects";
import type { Client } from "../client";
import { statusChanged } from "../state/connection";
import { membersWanted, moreMembersWanted, typed } from "../state/intents";
import { membersRead } from "../state/members";
import { peopleMet } from "../state/people";
import { hereRead, presenceForgotten } from "../state/presence";
import { get, run, type Saga, task } from "./effects";

const MEMBERS_PAGE = 100;
/** The protocol asks for at most one signal in 3 seconds. */
const TYPING_EVERY_MS = 3_000;

/** Who belongs to a room, who is here, who is typing. */
export function* presenceSaga(client: Client): Saga {
  const lastTyped = new Map<wire.Id, number>();
  yield takeEvery(typed, function* ({ payload: { room } }): Saga {
    if (Date.now() - (lastTyped.get(room) ?? 0) < TYPING_EVERY_MS) return;
    lastTyped.set(room, Date.now());
    try {
      yield* run(() => client.connection.ask("typing", { room }));
    } catch {
      // A signal that may be lost.
    }
  });
  yield takeLatest(membersWanted, function* ({ payload: { room } }): Saga {
    yield* task(`members:${room}`, () => readMembers(client, room, true));
    yield* readHere(client, room);
  });
  yield takeLatest(moreMembersWanted, function* ({ payload: { room } }): Saga {
    yield* task(`members:${room}`, () => readMembers(client, room, false));
  });
  yield takeEvery(statusChanged, function* ({ payload: { status } }): Saga {
    // Comings and goings were missed: who is here is asked anew.
    if (status.kind === "live") yield put(presenceForgotten());
  });
}

function* readMembers({ connection }: Client, room: wire.Id, first: boolean): Saga {
  const known = yield* get((state) => state.members[room]?.members ?? []);
  const last = first ? undefined : known.at(-1);
  const request = { room, limit: MEMBERS_PAGE, ...(last && { after: last.user }) };
  const page = yield* run(() => connection.ask("room_members", request));
  yield put(peopleMet(page.members.flatMap(({ user }) => (user ? [user] : []))));
  yield put(membersRead({ room, first, page }));
}

/** Asks who is here; signals keep it true from then on. */
export function* readHere({ connection }: Client, room: wire.Id): Saga {
  try {
    const { users, count } = yield* run(() => connection.ask("room_presence", { room }));
    yield put(peopleMet(users));
    yield put(hereRead({ room, here: { count, users: users.map(({ id }) => id) } }));
  } catch {
    // Not knowing who is here is no reason to say anything.
  }
}
