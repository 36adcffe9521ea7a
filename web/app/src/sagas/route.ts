import { put, takeEvery } from "redux-saga/effects";
import { parseRoute } from "../lib/route";
import { readUpTo } from "../state/reads";
import { roomsReplaced } from "../state/rooms";
import { routeChanged } from "../state/ui";
import { get, type Saga, windowChannel } from "./effects";

/** Follows the address, and notes rooms that are seen for the first time as read so far. */
export function* routeSaga(): Saga {
  yield put(routeChanged(parseRoute(window.location.hash)));
  yield takeEvery(windowChannel(window, "hashchange"), function* (): Saga {
    yield put(routeChanged(parseRoute(window.location.hash)));
  });
  yield takeEvery(roomsReplaced, function* ({ payload }): Saga {
    const reads = yield* get((state) => state.reads);
    for (const { id, head, ordinal } of payload) {
      if (!reads[id]) yield put(readUpTo({ room: id, seq: head.seq, ordinal }));
    }
  });
}
