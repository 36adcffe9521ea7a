import type { ServerFrame } from "./protocol";

/** A frame's time on a screen: events of one batch are drawn together. */
const BATCH_MS = 16;

/** Gathers frames so that a burst of a thousand events costs one update of the page, in their order. */
export class Inbox {
  #frames: ServerFrame[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  readonly #deliver: (frames: ServerFrame[]) => void;

  constructor(deliver: (frames: ServerFrame[]) => void) {
    this.#deliver = deliver;
  }

  /** Takes a frame; the first of a quiet stretch is delivered soonest. */
  add(frame: ServerFrame): void {
    this.#frames.push(frame);
    this.#timer ??= setTimeout(() => this.flush(), BATCH_MS);
  }

  /** Delivers what is waiting, now. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const frames = this.#frames;
    this.#frames = [];
    if (frames.length > 0) this.#deliver(frames);
  }
}
