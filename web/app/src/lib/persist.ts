import { readJson, type wire, writeJson } from "@bobchat/client";
import { shared } from "../client";
import { draftsRestored } from "../state/drafts";
import { type ReadsState, readsRestored } from "../state/reads";
import type { AppDispatch, AppState } from "../state/store";

const draftsOf = (user: wire.Id) => `bobchat.drafts.${user}`;
const readsOf = (user: wire.Id) => `bobchat.reads.${user}`;
const SAVE_AFTER_MS = 300;

interface Store {
  getState: () => AppState;
  dispatch: AppDispatch;
  subscribe: (listener: () => void) => void;
}

/** Keeps drafts and read marks over reloads, per person; read marks move together in all tabs. */
export function persist(store: Store): void {
  let saved: AppState | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;

  const save = () => {
    clearTimeout(timer);
    timer = undefined;
    const state = store.getState();
    const user = state.session.me?.id;
    if (user && saved?.session.me?.id === user) {
      if (saved.drafts !== state.drafts) writeJson(shared, draftsOf(user), state.drafts);
      if (saved.reads !== state.reads) writeJson(shared, readsOf(user), state.reads);
    }
    saved = state;
  };

  store.subscribe(() => {
    const state = store.getState();
    const user = state.session.me?.id;
    if (user !== saved?.session.me?.id) {
      saved = state;
      if (user) restore(store, user);
      saved = store.getState();
    } else if (state.drafts !== saved?.drafts || state.reads !== saved?.reads) {
      timer ??= setTimeout(save, SAVE_AFTER_MS);
    }
  });
  window.addEventListener("pagehide", save);
  window.addEventListener("storage", ({ key }) => {
    const user = store.getState().session.me?.id;
    if (user && key === readsOf(user))
      store.dispatch(readsRestored(furthest(store.getState().reads, readReads(user))));
  });
}

/** Forgets what was kept of a person. */
export function forgetPersisted(user: wire.Id): void {
  shared.remove(draftsOf(user));
  shared.remove(readsOf(user));
}

function restore(store: Store, user: wire.Id): void {
  store.dispatch(draftsRestored(readJson<Record<wire.Id, string>>(shared, draftsOf(user)) ?? {}));
  store.dispatch(readsRestored(readReads(user)));
}

function readReads(user: wire.Id): ReadsState {
  return readJson<ReadsState>(shared, readsOf(user)) ?? {};
}

function furthest(ours: ReadsState, theirs: ReadsState): ReadsState {
  const merged = { ...ours };
  for (const [room, read] of Object.entries(theirs)) {
    if (read.ordinal > (merged[room]?.ordinal ?? -1)) merged[room] = read;
  }
  return merged;
}
