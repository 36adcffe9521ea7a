/** Text by name that outlives a reload. All of it may be gone at any time; nothing here throws. */
export interface KeyValues {
  get(name: string): string | null;
  set(name: string, value: string): void;
  remove(name: string): void;
  names(): string[];
}

/** Keeps values in memory alone: for tests, and where a browser forbids storage. */
export function memoryValues(): KeyValues {
  const values = new Map<string, string>();
  return {
    get: (name) => values.get(name) ?? null,
    set: (name, value) => void values.set(name, value),
    remove: (name) => void values.delete(name),
    names: () => [...values.keys()],
  };
}

/** The browser's storage; memory where it is forbidden. A full storage keeps the old value. */
export function browserValues(storage: () => Storage): KeyValues {
  try {
    const values = storage();
    values.setItem("bobchat.probe", "");
    values.removeItem("bobchat.probe");
    return {
      get: (name) => values.getItem(name),
      set: (name, value) => {
        try {
          values.setItem(name, value);
        } catch {
          // Full: what stands there already is older but whole.
        }
      },
      remove: (name) => values.removeItem(name),
      names: () => Object.keys(values),
    };
  } catch {
    return memoryValues();
  }
}

/** Reads JSON that this program wrote; `null` when there is none or it cannot be read any more. */
export function readJson<T>(values: KeyValues, name: string): T | null {
  const text = values.get(name);
  if (text === null) return null;
  try {
    return JSON.parse(text) as T;
  } catch {
    values.remove(name);
    return null;
  }
}

/** Writes JSON. */
export function writeJson(values: KeyValues, name: string, value: unknown): void {
  values.set(name, JSON.stringify(value));
}
