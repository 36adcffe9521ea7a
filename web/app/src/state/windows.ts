import { addPage, focusOn, openWindow, type RoomWindow, receiveAll, trim, type wire } from "@bobchat/client";
import type { UnknownAction } from "@reduxjs/toolkit";
import { signedOut } from "./session";
import {
  type Edge,
  eventsReceived,
  latestShown,
  pageAsked,
  pageCame,
  pageFailed,
  streamOpened,
  windowDropped,
} from "./stream";

/** What the page holds of one room, and what it is waiting for. */
export interface WindowEntry {
  window: RoomWindow;
  /** The page that is on its way. */
  asked: Edge | null;
  /** Why the last page did not come. */
  failed: { edge: Edge; words: string } | null;
}

export type WindowsState = Record<wire.Id, WindowEntry>;

/**
 * The windows of all rooms. A plain reducer: the pure functions of the client copy what they change, and
 * proxies around thousands of messages would cost more than they give.
 */
export function windowsReducer(state: WindowsState = {}, action: UnknownAction): WindowsState {
  if (signedOut.match(action)) return {};
  if (streamOpened.match(action)) {
    const { room, head } = action.payload;
    return { ...state, [room]: { window: openWindow(head), asked: null, failed: null } };
  }
  if (windowDropped.match(action)) {
    const { [action.payload.room]: _, ...others } = state;
    return others;
  }
  if (eventsReceived.match(action)) {
    const { room, events, anchor } = action.payload;
    return change(state, room, (entry) => ({
      ...entry,
      window: trim(receiveAll(entry.window, events)[0], anchor),
    }));
  }
  if (pageAsked.match(action)) {
    const { room, edge } = action.payload;
    return change(state, room, (entry) => ({ ...entry, asked: edge, failed: null }));
  }
  if (pageFailed.match(action)) {
    const { room, edge, words } = action.payload;
    return change(state, room, (entry) => ({ ...entry, asked: null, failed: { edge, words } }));
  }
  if (pageCame.match(action)) {
    const { room, stretch, anchor, focus } = action.payload;
    return change(state, room, (entry) => {
      const focus_ = focus === undefined ? entry.window.focus : focus;
      const window = trim(focusOn(addPage(entry.window, stretch), focus_), anchor);
      return { window, asked: null, failed: null };
    });
  }
  if (latestShown.match(action)) {
    return change(state, action.payload.room, (entry) => ({ ...entry, window: focusOn(entry.window, null) }));
  }
  return state;
}

function change(state: WindowsState, room: wire.Id, by: (entry: WindowEntry) => WindowEntry): WindowsState {
  const entry = state[room];
  return entry ? { ...state, [room]: by(entry) } : state;
}
