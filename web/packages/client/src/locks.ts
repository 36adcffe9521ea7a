/** Mutual exclusion among the tabs of one browser. */
export interface Locks {
  /** Runs `work` while no other tab runs anything under the same name. */
  exclusive<T>(name: string, work: () => Promise<T>): Promise<T>;
  /** Takes a name until this tab ends; waits for it at most `patience_ms`. Says whether it was taken. */
  hold(name: string, patience_ms: number): Promise<boolean>;
}

/** Web Locks where the page has them; within this tab alone where not (pages served without TLS). */
export function browserLocks(): Locks {
  return typeof navigator !== "undefined" && navigator.locks ? webLocks(navigator.locks) : tabLocks();
}

function webLocks(manager: LockManager): Locks {
  return {
    exclusive: async (name, work) => await manager.request(name, async () => await work()),
    hold: (name, patience_ms) =>
      new Promise((resolve) => {
        const patience = AbortSignal.timeout(patience_ms);
        const forEver = () => {
          resolve(true);
          return new Promise<never>(() => {});
        };
        manager.request(name, { signal: patience }, forEver).catch(() => resolve(false));
      }),
  };
}

/** Orders the work of one tab; other tabs are not seen. */
export function tabLocks(): Locks {
  const tails = new Map<string, Promise<unknown>>();
  const held = new Set<string>();
  return {
    exclusive: (name, work) => {
      const before = tails.get(name) ?? Promise.resolve();
      const run = before.then(work, work);
      tails.set(
        name,
        run.catch(() => {}),
      );
      return run;
    },
    hold: async (name) => {
      if (held.has(name)) return false;
      held.add(name);
      return true;
    },
  };
}
