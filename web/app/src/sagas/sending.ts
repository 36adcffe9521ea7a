import { put, takeEvery } from "redux-saga/effects";
import type { Client } from "../client";
import { latestWanted, removeWanted, resendWanted, sendWanted } from "../state/intents";
import { outboxChanged } from "../state/outbox";
import { channelOf, get, run, type Saga } from "./effects";

/** Messages on their way out. */
export function* sendingSaga({ outbox }: Client): Saga {
  yield takeEvery(channelOf(outbox.changed), function* ({ value }): Saga {
    yield put(outboxChanged(value));
    const windows = yield* get((state) => state.windows);
    for (const { room, seq } of value) {
      const cursor = windows[room]?.window.cursor;
      // The answer to a retry may name a place that was seen long ago.
      if (seq !== undefined && cursor && seq <= cursor.seq) outbox.settleUpTo(room, cursor.seq);
    }
  });
  yield takeEvery(sendWanted, function* ({ payload: { room, text } }): Saga {
    const me = yield* get((state) => state.session.me?.id);
    if (!me) return;
    outbox.add(me, room, text);
    yield put(latestWanted({ room }));
  });
  yield takeEvery(resendWanted, function* ({ payload: { key } }): Saga {
    yield* run(() => outbox.retry(key));
  });
  yield takeEvery(removeWanted, function* ({ payload: { key } }): Saga {
    yield* run(() => outbox.remove(key));
  });
}
