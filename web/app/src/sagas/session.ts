import type { wire } from "@bobchat/client";
import { put, race, take } from "redux-saga/effects";
import type { Client } from "../client";
import { forgetPersisted } from "../lib/persist";
import { forgetPlaces } from "../lib/places";
import { navigate } from "../lib/route";
import { signInWanted, signOutWanted } from "../state/intents";
import { roomsReplaced } from "../state/rooms";
import { selectRooms } from "../state/selectors";
import { signedIn, signedOut } from "../state/session";
import { channelOf, get, run, type Saga, task } from "./effects";

/** The room that everybody lands in. */
const WELCOME = "welcome";

/** From sign-in to sign-out, and again. */
export function* sessionSaga(client: Client): Saga {
  const changes = channelOf(client.tokens.changed);
  while (true) {
    let user = client.tokens.user();
    const isNew = user === null;
    while (!user) user = yield* signIn(client, changes);
    yield put(signedIn(user));
    void client.outbox.restore(user.id);
    client.connection.start();
    if (isNew) yield* landInWelcome();
    yield* untilSignedOut(client, changes, user);
  }
}

type Changes = ReturnType<typeof channelOf<wire.User | null>>;

/** Waits until somebody signs in, here or in another tab. */
function* signIn(client: Client, changes: Changes): Saga<wire.User | null> {
  const { wanted } = (yield race({ wanted: take(signInWanted), elsewhere: take(changes) })) as {
    wanted?: ReturnType<typeof signInWanted>;
  };
  if (wanted) {
    yield* task("signIn", function* () {
      yield* run(() => client.tokens.signIn(wanted.payload.name));
    });
  }
  return client.tokens.user();
}

function* untilSignedOut(client: Client, changes: Changes, user: wire.User): Saga {
  while (true) {
    const { wished } = (yield race({ wished: take(signOutWanted), changed: take(changes) })) as {
      wished?: unknown;
    };
    if (wished) {
      client.connection.stop();
      client.outbox.clear();
      forgetPersisted(user.id);
      forgetPlaces();
      yield* run(() => client.tokens.signOut());
      navigate({ page: "rooms" }, true);
      yield put(signedOut({ words: null }));
      return;
    }
    const now = client.tokens.user();
    if (now?.id === user.id) continue;
    client.connection.stop();
    // Somebody else signed in in another tab: nothing of the person before may stay on the page.
    if (now) return window.location.reload();
    yield put(signedOut({ words: "You were signed out. Choose a name to come in again." }));
    return;
  }
}

/** Shows somebody new where to begin. An address that names a room is where they wanted to go. */
function* landInWelcome(): Saga {
  yield take(roomsReplaced);
  if ((yield* get((state) => state.ui.route)).page !== "rooms") return;
  const rooms = yield* get(selectRooms);
  const first = rooms.find(({ name }) => name.toLowerCase() === WELCOME) ?? rooms[0];
  if (first) navigate({ page: "room", room: first.id }, true);
}
