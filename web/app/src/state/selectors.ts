import { type OutboxEntry, shownStretch, showsLatest, type wire } from "@bobchat/client";
import { createSelector } from "@reduxjs/toolkit";
import type { RoomEntry } from "./rooms";
import type { AppState } from "./store";

const roomsById = (state: AppState) => state.rooms.byId;

/** One's rooms, the one that changed last first. */
export const selectRooms = createSelector([roomsById], (byId) =>
  Object.values(byId).sort((a, b) => b.changedAt - a.changedAt || (a.id < b.id ? -1 : 1)),
);

/** How many messages of a room were not read yet. */
export function unreadOf(room: RoomEntry, state: AppState): number {
  const read = state.reads[room.id];
  return read ? Math.max(0, room.ordinal - read.ordinal) : 0;
}

/** How many messages were not read yet, in all rooms. */
export const selectUnreadTotal = (state: AppState) =>
  Object.values(state.rooms.byId).reduce((sum, room) => sum + unreadOf(room, state), 0);

/** The room that the address names, if it is one of ours. */
export function selectOpenRoom(state: AppState): RoomEntry | undefined {
  const { route } = state.ui;
  return route.page === "room" ? state.rooms.byId[route.room] : undefined;
}

const noMessages: readonly wire.Event[] = [];
const noEntries: readonly OutboxEntry[] = [];

/** The messages on the screen. */
export function selectMessages(state: AppState, room: wire.Id): readonly wire.Event[] {
  const entry = state.windows[room];
  return entry ? shownStretch(entry.window).messages : noMessages;
}

/** Messages of a room that are on their way, shown below the newest one. */
export const selectUnsent = createSelector(
  [(state: AppState) => state.outbox, (_: AppState, room: wire.Id) => room],
  (outbox, room) => {
    const unsent = outbox.filter((entry) => entry.room === room);
    return unsent.length > 0 ? unsent : noEntries;
  },
);

/** Whether what is on the screen ends with the newest message. */
export function selectShowsLatest(state: AppState, room: wire.Id): boolean {
  const entry = state.windows[room];
  return !entry || showsLatest(entry.window);
}

/** Whether there are older messages than those on the screen. */
export function selectHasOlder(state: AppState, room: wire.Id): boolean {
  const entry = state.windows[room];
  return entry !== undefined && shownStretch(entry.window).from > 1;
}

/** Who is typing in a room, oneself left out. */
export const selectTyping = createSelector(
  [
    (state: AppState, room: wire.Id) => state.presence.typing[room],
    (state: AppState) => state.session.me?.id,
    (state: AppState) => state.people,
  ],
  (typing, me, people) =>
    Object.keys(typing ?? {})
      .filter((user) => user !== me)
      .map((user) => people[user]?.name ?? "Somebody"),
);
