import type { wire } from "@bobchat/client";
import { createSlice, type PayloadAction } from "@reduxjs/toolkit";
import { eventsReceived } from "./stream";

/** A room as the page shows it. */
export interface RoomEntry {
  id: wire.Id;
  name: string;
  topic: string;
  kind: wire.RoomKind;
  history: wire.HistoryVisibility;
  head: wire.Position;
  /** How many messages it has. */
  ordinal: number;
  memberCount: number;
  /** `null` in a room that one is not a member of. */
  role: wire.Role | null;
  changedAt: number;
}

/** The rooms that one is a member of, and rooms that were looked at. */
export interface RoomsState {
  /** Whether the list is known: an empty list before that is not an empty list. */
  loaded: boolean;
  byId: Record<wire.Id, RoomEntry>;
  /** Rooms that one is not a member of, as the server showed them. */
  visited: Record<wire.Id, RoomEntry | "absent">;
}

const initialState: RoomsState = { loaded: false, byId: {}, visited: {} };

/** Reads a room from the wire; what is absent there stands as its emptiest value here. */
export function roomEntry(room: wire.Room): RoomEntry {
  return {
    id: room.id,
    name: room.settings?.name ?? "",
    topic: room.settings?.topic ?? "",
    kind: room.settings?.kind ?? "private",
    history: room.settings?.history ?? "everything",
    head: room.head ?? { epoch: 0, seq: 0 },
    ordinal: room.ordinal,
    memberCount: room.member_count,
    role: room.role ?? null,
    changedAt: Date.parse(room.changed_at),
  };
}

const rooms = createSlice({
  name: "rooms",
  initialState,
  reducers: {
    /** The whole list, as the server has it now: what is not in it is not ours any more. */
    roomsReplaced: (state, { payload }: PayloadAction<RoomEntry[]>) => {
      state.loaded = true;
      state.byId = Object.fromEntries(payload.map((room) => [room.id, room]));
    },
    roomSeen: (state, { payload }: PayloadAction<RoomEntry>) => {
      delete state.visited[payload.id];
      state.byId[payload.id] = payload;
    },
    roomGone: (state, { payload }: PayloadAction<wire.Id>) => {
      delete state.byId[payload];
    },
    roomVisited: (state, { payload }: PayloadAction<{ id: wire.Id; room: RoomEntry | null }>) => {
      state.visited[payload.id] = payload.room ?? "absent";
    },
  },
  extraReducers: (builder) => {
    builder.addCase(eventsReceived, (state, { payload }) => {
      const room = state.byId[payload.room];
      if (room) for (const event of payload.events) applyEvent(room, event);
    });
  },
});

/** Brings a room's entry forward by one event of its log; events that it already counts change nothing. */
function applyEvent(room: RoomEntry, event: wire.Event): void {
  const { head } = room;
  if (event.epoch < head.epoch || event.seq <= head.seq) return;
  room.head = { epoch: event.epoch, seq: event.seq };
  room.changedAt = Date.parse(event.at);
  room.ordinal = event.ordinal ?? room.ordinal;
  if (event.joined) room.memberCount += 1;
  if (event.left) room.memberCount -= 1;
  if (event.settings) {
    room.name = event.settings.name ?? room.name;
    room.topic = event.settings.topic ?? room.topic;
    room.history = event.settings.history ?? room.history;
  }
}

export const { roomsReplaced, roomSeen, roomGone, roomVisited } = rooms.actions;
export const roomsReducer = rooms.reducer;
