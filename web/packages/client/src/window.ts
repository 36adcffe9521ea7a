import type { Event, MessageHistory, MessageHistoryOk, Position } from "./protocol";

/**
 * A part of a room's log of which every message is here.
 *
 * The log counts all events, a page of history holds messages alone: what makes a stretch whole is that
 * the server said so for every seq in it, not that its messages are dense.
 */
export interface Stretch {
  /** The first seq that it covers; 0 when nothing readable comes before. */
  from: number;
  /** The last seq that it covers; `from - 1` when it covers nothing yet. */
  to: number;
  /** The messages in it, by seq. */
  messages: readonly Event[];
}

/** What the page holds of one room. The last stretch ends at the cursor: live events extend it. */
export interface RoomWindow {
  /** The last event processed. */
  cursor: Position;
  /** Apart from one another, in the order of the log. */
  stretches: readonly Stretch[];
  /** The highest seq that was seen beyond a hole; the cursor's when there is none. */
  missing: number;
  /** A seq in the stretch that is shown; `null` shows the newest. */
  focus: number | null;
}

/** A window of a room whose events arrive from `head` on. */
export function openWindow(head: Position): RoomWindow {
  const tail: Stretch = { from: head.seq + 1, to: head.seq, messages: [] };
  return { cursor: head, stretches: [tail], missing: head.seq, focus: null };
}

/** The stretch that is on the screen. */
export function shownStretch(window: RoomWindow): Stretch {
  const { stretches, focus } = window;
  const focused = focus === null ? undefined : stretches.find(({ from, to }) => from <= focus && focus <= to);
  return focused ?? tailOf(window);
}

/** Whether the newest message is on the screen, or would be after scrolling down. */
export function showsLatest(window: RoomWindow): boolean {
  return shownStretch(window).to >= window.cursor.seq;
}

/** Whether a page of history was ever taken in: an empty window may be an empty room or an unread one. */
export function isLoaded(window: RoomWindow): boolean {
  const shown = shownStretch(window);
  return shown.messages.length > 0 || shown.from === 0;
}

function tailOf(window: RoomWindow): Stretch {
  return window.stretches.at(-1) ?? { from: window.cursor.seq + 1, to: window.cursor.seq, messages: [] };
}

/** What came of an event. */
export type Outcome = "applied" | "duplicate" | "hole" | "reset";

/**
 * Takes the next event of the room, live or replayed. A duplicate changes nothing; an event beyond a
 * hole is not taken but remembered as missing: read the events after the cursor.
 */
export function receive(window: RoomWindow, event: Event): [RoomWindow, Outcome] {
  const { cursor } = window;
  if (event.epoch < cursor.epoch) return [window, "duplicate"];
  if (event.seq <= cursor.seq) return [window, event.epoch > cursor.epoch ? "reset" : "duplicate"];
  if (event.seq > cursor.seq + 1) {
    return [{ ...window, missing: Math.max(window.missing, event.seq) }, "hole"];
  }
  const tail = tailOf(window);
  const messages = event.message ? [...tail.messages, event] : tail.messages;
  const grown = { from: tail.from, to: event.seq, messages };
  return [
    {
      ...window,
      cursor: { epoch: event.epoch, seq: event.seq },
      missing: Math.max(window.missing, event.seq),
      stretches: [...window.stretches.slice(0, -1), grown],
    },
    "applied",
  ];
}

/** Takes many events at once; copies the messages once and not once an event. */
export function receiveAll(window: RoomWindow, events: readonly Event[]): [RoomWindow, Outcome[]] {
  const tail = tailOf(window);
  const added: Event[] = [];
  const outcomes: Outcome[] = [];
  let next: RoomWindow = { ...window, stretches: [{ ...tail, messages: [] }] };
  for (const event of events) {
    const [after, outcome] = receive(next, event);
    outcomes.push(outcome);
    if (outcome === "applied") {
      if (event.message) added.push(event);
      next = { ...after, stretches: [{ ...tailOf(after), messages: [] }] };
    } else next = after;
  }
  const messages = added.length > 0 ? [...tail.messages, ...added] : tail.messages;
  const grown = { ...tailOf(next), messages };
  return [{ ...next, stretches: [...window.stretches.slice(0, -1), grown] }, outcomes];
}

/** Whether events are known to be missing between the cursor and what was seen. */
export function hasHole(window: RoomWindow): boolean {
  return window.missing > window.cursor.seq;
}

/** Which page was asked for. */
export type PageQuery = Pick<MessageHistory, "before" | "after" | "around">;

/**
 * What a page of history covers. `head` is the newest seq that the room was known to have when the page
 * was asked for: a page without newer messages after it covers at least up to there.
 */
export function pageStretch(query: PageQuery, page: MessageHistoryOk, head: number): Stretch {
  const messages = page.messages;
  const first = messages[0]?.seq;
  const last = messages.at(-1)?.seq;
  const from = query.after !== undefined ? query.after + 1 : page.has_more_before ? (first ?? head + 1) : 0;
  const to =
    query.before !== undefined
      ? query.before - 1
      : page.has_more_after
        ? (last ?? from - 1)
        : Math.max(last ?? 0, head);
  return { from, to, messages };
}

/** Puts a page into the window; it melts together with what it touches. */
export function addPage(window: RoomWindow, page: Stretch): RoomWindow {
  return { ...window, stretches: melt(window.stretches, page) };
}

/**
 * Adds a stretch to stretches that are apart from one another: the history of a room and its live events
 * merge here, in whatever order they come.
 */
export function melt(stretches: readonly Stretch[], added: Stretch): Stretch[] {
  const touches = (one: Stretch) => one.from <= added.to + 1 && added.from <= one.to + 1;
  const apart = stretches.filter((one) => !touches(one));
  const joined = stretches.filter(touches).reduce(join, added);
  return [...apart, joined].sort((a, b) => a.from - b.from || a.to - b.to);
}

function join(a: Stretch, b: Stretch): Stretch {
  return {
    from: Math.min(a.from, b.from),
    to: Math.max(a.to, b.to),
    messages: mergeMessages(a.messages, b.messages),
  };
}

/** Merges two lists that are each in the order of seq; a message that both have stands once. */
export function mergeMessages(a: readonly Event[], b: readonly Event[]): readonly Event[] {
  const lastOfA = a.at(-1);
  const firstOfB = b[0];
  if (!lastOfA) return b;
  if (!firstOfB) return a;
  if (lastOfA.seq < firstOfB.seq) return [...a, ...b];
  const bySeq = new Map<number, Event>();
  for (const message of a) bySeq.set(message.seq, message);
  for (const message of b) bySeq.set(message.seq, message);
  return [...bySeq.values()].sort((one, other) => one.seq - other.seq);
}

/** Messages on a screen and around it that stay loaded. */
const KEPT_AROUND = 150;
/** Messages beyond which a stretch is cut. */
const STRETCH_MAX = 400;
/** Newest messages that stay loaded while the reader is far from them. */
const KEPT_AT_TAIL = 60;

/**
 * Cuts a window that has grown long: keeps what is around `anchor` (the seq of the row that the reader
 * looks at; `null`: the newest) and the newest messages, so that a page stays quick in a room of a
 * hundred thousand.
 */
export function trim(window: RoomWindow, anchor: number | null): RoomWindow {
  const shown = shownStretch(window);
  const tail = tailOf(window);
  if (shown.messages.length <= STRETCH_MAX) {
    return shown === tail || tail.messages.length <= STRETCH_MAX
      ? window
      : replaceTail(window, newest(tail, KEPT_AT_TAIL));
  }
  const at = anchor === null ? shown.messages.length : shown.messages.findIndex(({ seq }) => seq >= anchor);
  const middle = at < 0 ? shown.messages.length : at;
  const kept = cut(shown, middle - KEPT_AROUND, middle + KEPT_AROUND);
  const others = window.stretches.filter((one) => one !== shown && one !== tail);
  if (kept.to >= window.cursor.seq) return { ...window, stretches: [...others, kept], focus: null };
  const focus = kept.messages[0]?.seq ?? kept.from;
  return { ...window, stretches: [...melt(others, kept), newest(tail, KEPT_AT_TAIL)], focus };
}

function replaceTail(window: RoomWindow, tail: Stretch): RoomWindow {
  return { ...window, stretches: [...window.stretches.slice(0, -1), tail] };
}

function newest(stretch: Stretch, count: number): Stretch {
  return cut(stretch, stretch.messages.length - count, stretch.messages.length);
}

/** The part of a stretch with the messages from index `start` up to, without, `end`. */
function cut(stretch: Stretch, start: number, end: number): Stretch {
  const messages = stretch.messages.slice(Math.max(0, start), Math.max(0, end));
  const before = start > 0 ? messages[0] : undefined;
  const after = end < stretch.messages.length ? messages.at(-1) : undefined;
  return { from: before?.seq ?? stretch.from, to: after?.seq ?? stretch.to, messages };
}

/** Shows the stretch around `seq`, or the newest. */
export function focusOn(window: RoomWindow, seq: number | null): RoomWindow {
  return { ...window, focus: seq };
}
