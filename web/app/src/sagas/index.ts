import { fork } from "redux-saga/effects";
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

/** Everything that happens beside drawing. */
export function* rootSaga(client: Client): Saga {
  yield fork(streamSaga, client);
  yield fork(historySaga, client);
  yield fork(sendingSaga, client);
  yield fork(presenceSaga, client);
  yield fork(roomsSaga, client);
  yield fork(connectionSaga, client);
  yield fork(routeSaga);
  yield fork(sessionSaga, client);
}
