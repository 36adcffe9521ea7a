import type { Event } from "../src/protocol";

export const ROOM = "1";

/** A message at a place of the log. */
export function message(seq: number, over: Partial<Event> = {}): Event {
  const at = new Date(1_700_000_000_000 + seq * 1000).toISOString();
  const body = { message: { text: `message ${seq}` } };
  return {
    room: ROOM,
    epoch: 1,
    seq,
    at,
    id: String(1000 + seq),
    author: "7",
    ordinal: seq,
    ...body,
    ...over,
  };
}

/** An event that is no message. */
export function joined(seq: number): Event {
  const { message: _, ordinal: __, ...event } = message(seq);
  return { ...event, joined: { user: "9" } };
}

/** Messages from one seq to another, both included. */
export function messages(from: number, to: number): Event[] {
  return Array.from({ length: Math.max(0, to - from + 1) }, (_, index) => message(from + index));
}
