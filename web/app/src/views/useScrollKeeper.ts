import type { wire } from "@bobchat/client";
import { type RefObject, useCallback, useEffect, useLayoutEffect, useRef, useState } from "react";
import { notePlace, placeIn } from "../lib/places";

/** Nearer to the end than this, the reader follows the conversation. */
const FOLLOWS_WITHIN = 32;
/** Nearer to an end of what is loaded than this, more is loaded. */
const LOADS_WITHIN = 900;
/** Read context above the mark of what is new. */
const CONTEXT_ABOVE_NEW = 0.3;

interface Options {
  /** The room; another one is another list, by its key. */
  room: wire.Id;
  /** Whether there is something to show. */
  ready: boolean;
  /** Whether what is loaded ends with the newest message. */
  showsLatest: boolean;
  /** Grows when one sent something: the newest message comes on the screen. */
  jump: number;
  /** The rows; whenever they change, the row under the eye stays where it is. */
  rows: unknown;
  onNearTop: (anchor: number | null) => void;
  onNearEnd: (anchor: number | null) => void;
}

/** What the eye is on: a row, and how far its top is below the top of the screen. */
interface Anchor {
  key: string;
  offset: number;
}

/**
 * Keeps the reader's place while rows come and go above and below: follows the newest message if it is on
 * the screen, else keeps the row under the eye where it is.
 */
export function useScrollKeeper(scroller: RefObject<HTMLElement | null>, options: Options) {
  const { ready, showsLatest, jump, rows } = options;
  const latest = useRef(options);
  latest.current = options;
  const follows = useRef(true);
  const anchor = useRef<Anchor | null>(null);
  const placed = useRef(false);
  const [atLatest, setAtLatest] = useState(true);

  const note = useCallback(() => {
    const element = scroller.current;
    if (!element || !placed.current) return;
    const below = element.scrollHeight - element.clientHeight - element.scrollTop;
    follows.current = latest.current.showsLatest && below <= FOLLOWS_WITHIN;
    setAtLatest(follows.current);
    const row = firstVisible(element);
    if (!row) return;
    const offset = row.offsetTop - element.scrollTop;
    anchor.current = { key: row.dataset.row ?? "", offset };
    const seq = Number(row.dataset.seq ?? 0);
    if (seq > 0) notePlace(latest.current.room, { seq, offset, atLatest: follows.current });
    if (element.scrollTop < LOADS_WITHIN) latest.current.onNearTop(seq || null);
    if (below < LOADS_WITHIN && !latest.current.showsLatest) latest.current.onNearEnd(seq || null);
  }, [scroller]);

  const restore = useCallback(() => {
    const element = scroller.current;
    if (!element || !latest.current.ready) return;
    if (!placed.current) {
      placed.current = true;
      follows.current = placeFirst(element, latest.current.room);
    } else if (follows.current && latest.current.showsLatest) element.scrollTop = element.scrollHeight;
    else if (anchor.current) keepAnchor(element, anchor.current);
    note();
  }, [scroller, note]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: whenever the rows change, the place is kept.
  useLayoutEffect(restore, [rows, ready, showsLatest, restore]);

  const jumpToLatest = useCallback(() => {
    follows.current = true;
    setAtLatest(true);
    const element = scroller.current;
    if (element && latest.current.showsLatest) element.scrollTop = element.scrollHeight;
  }, [scroller]);

  useLayoutEffect(() => {
    if (jump > 0) jumpToLatest();
  }, [jump, jumpToLatest]);

  // The composer grows, a phone is turned, a pane opens: the place stays.
  useEffect(() => {
    const element = scroller.current;
    if (!element) return;
    const observer = new ResizeObserver(restore);
    observer.observe(element);
    for (const child of element.children) observer.observe(child);
    element.addEventListener("scroll", note, { passive: true });
    return () => {
      observer.disconnect();
      element.removeEventListener("scroll", note);
    };
  }, [scroller, restore, note]);

  return { atLatest, jumpToLatest };
}

function rowsIn(element: HTMLElement): HTMLElement[] {
  return [...element.querySelectorAll<HTMLElement>("[data-row]")];
}

/** The first row that is on the screen, by halving: a room may have hundreds. */
function firstVisible(element: HTMLElement): HTMLElement | undefined {
  const rows = rowsIn(element);
  let low = 0;
  let high = rows.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    const row = rows[middle];
    if (row && row.offsetTop + row.offsetHeight > element.scrollTop) high = middle;
    else low = middle + 1;
  }
  return rows[low];
}

function keepAnchor(element: HTMLElement, { key, offset }: Anchor): void {
  const row = element.querySelector<HTMLElement>(`[data-row="${CSS.escape(key)}"]`);
  if (row) element.scrollTop = row.offsetTop - offset;
}

/** Where one was, else where one stopped reading, else the newest. Says whether that is the end. */
function placeFirst(element: HTMLElement, room: wire.Id): boolean {
  const place = placeIn(room);
  if (place && !place.atLatest) {
    const row = rowsIn(element).find(({ dataset }) => Number(dataset.seq ?? 0) >= place.seq);
    if (row) {
      element.scrollTop = row.offsetTop - place.offset;
      return false;
    }
  }
  const mark = element.querySelector<HTMLElement>("[data-new]");
  const end = element.scrollHeight - element.clientHeight;
  const aim = mark ? mark.offsetTop - element.clientHeight * CONTEXT_ABOVE_NEW : end;
  element.scrollTop = Math.min(aim, end);
  return aim >= end - FOLLOWS_WITHIN;
}
