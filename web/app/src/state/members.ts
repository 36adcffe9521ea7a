import type { wire } from "@bobchat/client";
import { createSlice, type PayloadAction } from "@reduxjs/toolkit";
import { eventsReceived } from "./stream";

/** The members of a room, as far as they were read. */
export interface MembersEntry {
  members: { user: wire.Id; role: wire.Role }[];
  hasMore: boolean;
  /** Whether somebody came or went since: to be read again when looked at. */
  stale: boolean;
}

const members = createSlice({
  name: "members",
  initialState: {} as Record<wire.Id, MembersEntry>,
  reducers: {
    membersRead: (
      state,
      { payload }: PayloadAction<{ room: wire.Id; first: boolean; page: wire.RoomMembersOk }>,
    ) => {
      const before = payload.first ? [] : (state[payload.room]?.members ?? []);
      const read = payload.page.members.flatMap(({ user, role }) => (user ? [{ user: user.id, role }] : []));
      state[payload.room] = { members: [...before, ...read], hasMore: payload.page.has_more, stale: false };
    },
  },
  extraReducers: (builder) => {
    builder.addCase(eventsReceived, (state, { payload }) => {
      const entry = state[payload.room];
      if (entry && payload.events.some(({ joined, left }) => joined || left)) entry.stale = true;
    });
  },
});

export const { membersRead } = members.actions;
export const membersReducer = members.reducer;
