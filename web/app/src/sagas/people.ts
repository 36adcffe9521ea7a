import { LIMITS, type wire } from "@bobchat/client";
import { delay, put } from "redux-saga/effects";
import type { Client } from "../client";
import { peopleMet } from "../state/people";
import { get, run, type Saga } from "./effects";

/** Unknown people are asked for together: a burst of events names many. */
const GATHER_MS = 30;
const wanted = new Set<wire.Id>();

/** Learns who wrote events, where the page does not know them yet. */
export function* meetAuthors({ connection }: Client, events: readonly { author: wire.Id }[]): Saga {
  const people = yield* get((state) => state.people);
  const unknown = events
    .map(({ author }) => author)
    .filter((author) => !people[author] && !wanted.has(author));
  if (unknown.length === 0) return;
  const first = wanted.size === 0;
  for (const author of unknown) wanted.add(author);
  if (!first) return;
  yield delay(GATHER_MS);
  const users = [...wanted];
  wanted.clear();
  try {
    for (let start = 0; start < users.length; start += LIMITS.user_get_max) {
      const slice = users.slice(start, start + LIMITS.user_get_max);
      const ok = yield* run(() => connection.ask("user_get", { users: slice }));
      yield put(peopleMet(ok.users));
    }
  } catch {
    // Their names come with the next page or event that needs them.
  }
}
