import type { OutboxEntry, wire } from "@bobchat/client";

/** A line of the conversation. */
export type Row = { kind: "day"; key: string; at: number } | { kind: "new"; key: string } | MessageRow;

/** A message, in the log or on its way there. */
export interface MessageRow {
  kind: "message";
  /** The same before and after the message is in the log, so that its row stays the same element. */
  key: string;
  /** Its place in the log; `null` on its way. */
  seq: number | null;
  author: wire.Id;
  at: number;
  text: string;
  /** Whether it begins a group: another author than before, or some minutes later. */
  first: boolean;
  /** Whether one wrote it oneself. */
  own: boolean;
  /** On its way: how it stands. */
  entry: OutboxEntry | null;
}

/** A pause after which the same author begins a new group. */
const GROUP_MS = 5 * 60 * 1000;

/** Puts messages, and after them what is on its way, into lines with days and the mark of what is new. */
export function rowsOf(
  messages: readonly wire.Event[],
  unsent: readonly OutboxEntry[],
  me: wire.Id,
  newAfter: number | null,
): Row[] {
  const rows: Row[] = [];
  let before: MessageRow | undefined;
  let marked = newAfter === null;
  const add = (row: MessageRow, isNew: boolean) => {
    if (!before || dayOf(before.at) !== dayOf(row.at))
      rows.push({ kind: "day", key: `d${dayOf(row.at)}`, at: row.at });
    const mark = !marked && isNew && !row.own;
    if (mark) rows.push({ kind: "new", key: "new" });
    marked ||= mark;
    const last = rows.at(-1);
    row.first = last?.kind !== "message" || last.author !== row.author || row.at - last.at > GROUP_MS;
    rows.push(row);
    before = row;
  };
  const here = new Set<string>();
  for (const event of messages) {
    const own = event.author === me;
    if (own && event.key) here.add(event.key);
    add(messageRow(event, own), newAfter !== null && (event.ordinal ?? 0) > newAfter);
  }
  for (const entry of unsent) if (!here.has(entry.key)) add(unsentRow(entry), false);
  return rows;
}

/** Whether two rows look the same: a burst of messages draws what is new and nothing else. */
export function isSameRow(a: MessageRow, b: MessageRow): boolean {
  return (
    a.key === b.key &&
    a.seq === b.seq &&
    a.at === b.at &&
    a.first === b.first &&
    a.entry === b.entry &&
    a.text === b.text &&
    a.author === b.author
  );
}

function messageRow(event: wire.Event, own: boolean): MessageRow {
  return {
    kind: "message",
    key: own && event.key ? event.key : `s${event.seq}`,
    seq: event.seq,
    author: event.author,
    at: Date.parse(event.at),
    text: event.message?.text ?? "",
    first: false,
    own,
    entry: null,
  };
}

function unsentRow(entry: OutboxEntry): MessageRow {
  return {
    kind: "message",
    key: entry.key,
    seq: null,
    author: entry.author,
    at: entry.written_at,
    text: entry.text,
    first: false,
    own: true,
    entry,
  };
}

function dayOf(at: number): string {
  const day = new Date(at);
  return `${day.getFullYear()}-${day.getMonth()}-${day.getDate()}`;
}
