import { newKey } from "./key";
import type { Locks } from "./locks";
import type { OutboxEntry } from "./outbox";
import { type KeyValues, readJson, writeJson } from "./storage";

/** Where unsent messages lie over a reload. */
export interface OutboxStore {
  /** What this tab, and tabs that are gone, left unsent. */
  load(): Promise<OutboxEntry[]>;
  /** Replaces what this tab has. */
  save(entries: readonly OutboxEntry[]): void;
}

const PREFIX = "bobchat.outbox.";
const TAB = "bobchat.tab";
/** A reload may meet the lock of the page that it replaces, for a moment. */
const RELOAD_PATIENCE_MS = 1_000;
/** Somebody else's outbox is taken only if it is free now. */
const ADOPT_PATIENCE_MS = 50;

/**
 * One outbox a tab, so that two tabs do not send the same message, and a lock that says whether the tab
 * still lives: what a closed tab left behind goes to the next one that opens.
 */
export function tabOutboxStore(shared: KeyValues, ofTab: KeyValues, locks: Locks): OutboxStore {
  let place: string | undefined;

  /** This tab's own place: the one from before a reload, unless a copy of the tab took it. */
  const claim = async (): Promise<string> => {
    const before = ofTab.get(TAB);
    if (before && (await locks.hold(PREFIX + before, RELOAD_PATIENCE_MS))) return PREFIX + before;
    const tab = newKey();
    ofTab.set(TAB, tab);
    await locks.hold(PREFIX + tab, RELOAD_PATIENCE_MS);
    return PREFIX + tab;
  };

  const adopt = async (name: string): Promise<OutboxEntry[]> => {
    if (!(await locks.hold(name, ADOPT_PATIENCE_MS))) return [];
    const entries = readJson<OutboxEntry[]>(shared, name) ?? [];
    shared.remove(name);
    return entries;
  };

  return {
    load: async () => {
      // What this tab saved since it began is in its memory already, and newer there.
      let own: OutboxEntry[] = [];
      if (!place) {
        place = await claim();
        own = readJson<OutboxEntry[]>(shared, place) ?? [];
      }
      const others = shared.names().filter((name) => name.startsWith(PREFIX) && name !== place);
      const adopted = await Promise.all(others.map(adopt));
      return [...own, ...adopted.flat()];
    },
    save: (entries) => {
      if (!place) return;
      if (entries.length > 0) writeJson(shared, place, entries);
      else shared.remove(place);
    },
  };
}
