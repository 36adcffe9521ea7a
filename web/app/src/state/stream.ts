import type { Stretch, wire } from "@bobchat/client";
import { createAction } from "@reduxjs/toolkit";

/** The stream of a room stands at `head`; what the page held before cannot be continued. */
export const streamOpened = createAction<{ room: wire.Id; head: wire.Position }>("stream/opened");

/** Events of a room arrived. `anchor`: the seq that the reader looks at, `null` at the newest. */
export const eventsReceived = createAction<{ room: wire.Id; events: wire.Event[]; anchor: number | null }>(
  "stream/events",
);

/** A page of history is asked for, or did not come. */
export const pageAsked = createAction<{ room: wire.Id; edge: Edge }>("history/asked");
export const pageFailed = createAction<{ room: wire.Id; edge: Edge; words: string }>("history/failed");
/** A page of history came; `focus` moves what is shown. */
export const pageCame = createAction<{
  room: wire.Id;
  edge: Edge;
  stretch: Stretch;
  anchor: number | null;
  focus?: number | null;
}>("history/came");
/** Shows the newest messages, which are there already. */
export const latestShown = createAction<{ room: wire.Id }>("history/latest");
/** Nothing of the room is to be kept. */
export const windowDropped = createAction<{ room: wire.Id }>("history/dropped");

/** Which end of what is shown a page extends; `first` when nothing is shown yet. */
export type Edge = "first" | "older" | "newer";
