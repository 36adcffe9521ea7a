import { type Emitter, wordsFor } from "@bobchat/client";
import { type EventChannel, eventChannel } from "redux-saga";
import { call, type Effect, put, select, take } from "redux-saga/effects";
import type { AppState } from "../state/store";
import { taskEnded, taskFailed, taskStarted } from "../state/tasks";

/** A saga that ends with `R`. */
export type Saga<R = void> = Generator<Effect, R>;

/** Reads from the state. */
export function* get<R>(selector: (state: AppState) => R): Saga<R> {
  return (yield select(selector)) as R;
}

/** Calls, and waits for what it promises. */
export function* run<Args extends unknown[], R>(work: (...args: Args) => R, ...args: Args): Saga<Awaited<R>> {
  return (yield call(work as (...args: unknown[]) => unknown, ...args)) as Awaited<R>;
}

/** Waits for the next value of a channel. */
export function* next<T extends NonNullable<unknown>>(channel: EventChannel<T>): Saga<T> {
  return (yield take(channel)) as T;
}

/** What an emitter says, as a channel. */
export function channelOf<T>(emitter: Emitter<T>): EventChannel<{ value: T }> {
  return eventChannel((emit) => emitter.listen((value) => emit({ value })));
}

/** Events of the window, as a channel. */
export function windowChannel<Name extends keyof WindowEventMap>(
  target: EventTarget,
  ...names: Name[]
): EventChannel<WindowEventMap[Name]> {
  return eventChannel((emit) => {
    const listener = (event: Event) => emit(event as WindowEventMap[Name]);
    for (const name of names) target.addEventListener(name, listener);
    return () => {
      for (const name of names) target.removeEventListener(name, listener);
    };
  });
}

/** Does what a person asked for, and says in the state that it is being done, or why it failed. */
export function* task(name: string, work: () => Saga): Saga {
  yield put(taskStarted(name));
  try {
    yield* work();
    yield put(taskEnded(name));
  } catch (error) {
    yield put(taskFailed({ task: name, words: wordsFor(error) }));
  }
}
