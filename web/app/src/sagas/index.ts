import { call, spawn } from "redux-saga/effects";
import type { Client } from "../client";
import { connectionSaga } from "./connection";
import type { Saga } from "./effects";
import { historySaga } from "./history";
import { presenceSaga } from "./presence";
import { roomsSaga } from "./rooms";
import { routeSaga } from "./route";
import { sendingSaga } from "./sending";
import { sessionSaga } from "./session";
import { streamSaga } from "./stream";

/** Who listens comes before who speaks: the session starts the connection. */
const SAGAS = [
  streamSaga,
  historySaga,
  sendingSaga,
  presenceSaga,
  roomsSaga,
  connectionSaga,
  routeSaga,
  sessionSaga,
];

/** Everything that happens beside drawing. */
export function* rootSaga(client: Client): Saga {
  for (const saga of SAGAS) yield spawn(keepGoing, saga, client);
}

/** A fault in one concern is reported, and neither ends the others nor itself. */
function* keepGoing(saga: (client: Client) => Saga, client: Client): Saga {
  while (true) {
    try {
      yield call(saga, client);
      return;
    } catch (error) {
      reportError(error);
    }
  }
}
