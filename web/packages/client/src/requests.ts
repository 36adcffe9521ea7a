import { NoAnswerError, RequestError } from "./errors";
import type { Requests, Results, ServerFrame } from "./protocol";

/** Asks for something over the connection. */
export type Ask = <Name extends keyof Requests>(name: Name, body: Requests[Name]) => Promise<Results[Name]>;

/** Longer than a slow link needs, shorter than a person's patience. */
const TIMEOUT_MS = 15_000;

interface Pending {
  name: keyof Requests;
  resolve: (result: never) => void;
  reject: (error: Error) => void;
  timer: ReturnType<typeof setTimeout>;
}

/** Matches answers with the requests of one connection. Every request ends: answered, timed out or dropped. */
export class PendingRequests {
  #nextId = 1;
  readonly #pending = new Map<number, Pending>();

  /** Gives a request its id, hands it to `send`, and waits for the answer. */
  ask<Name extends keyof Requests>(
    send: (frame: string) => void,
    name: Name,
    body: Requests[Name],
    timeout_ms: number = TIMEOUT_MS,
  ): Promise<Results[Name]> {
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#pending.delete(id);
        reject(new NoAnswerError(`${name}: no answer in ${timeout_ms} ms`));
      }, timeout_ms);
      this.#pending.set(id, { name, resolve, reject, timer });
      send(JSON.stringify({ id, [name]: body }));
    });
  }

  /** Takes a frame that answers a request. Answers that nobody waits for any more are dropped. */
  answer(id: number, frame: ServerFrame): void {
    const pending = this.#pending.get(id);
    if (!pending) return;
    this.#pending.delete(id);
    clearTimeout(pending.timer);
    const result = frame.ok?.[pending.name];
    if (result) pending.resolve(result as never);
    else if (frame.error) pending.reject(new RequestError(frame.error));
    else pending.reject(new NoAnswerError(`${pending.name}: the answer is of another kind`));
  }

  /** Ends every request: the connection is gone. */
  drop(): void {
    for (const { name, reject, timer } of this.#pending.values()) {
      clearTimeout(timer);
      reject(new NoAnswerError(`${name}: the connection ended before the answer`));
    }
    this.#pending.clear();
  }
}
