import type { wire } from "@bobchat/client";
import { createSlice, type PayloadAction } from "@reduxjs/toolkit";
import { eventsReceived } from "./stream";

/** Who is connected to a room. */
export interface Here {
  /** How many, also where not all are named. */
  count: number;
  users: wire.Id[];
}

/** Who is here and who is typing: may be lost, corrects itself. */
export interface PresenceState {
  here: Record<wire.Id, Here>;
  /** Per room, who is typing and until when that holds, in milliseconds. */
  typing: Record<wire.Id, Record<wire.Id, number>>;
}

const initialState: PresenceState = { here: {}, typing: {} };

const presence = createSlice({
  name: "presence",
  initialState,
  reducers: {
    hereRead: (state, { payload }: PayloadAction<{ room: wire.Id; here: Here }>) => {
      state.here[payload.room] = payload.here;
    },
    presenceChanged: (state, { payload }: PayloadAction<wire.PresenceSignal>) => {
      const here = state.here[payload.room];
      if (!here || here.users.includes(payload.user) === payload.online) return;
      here.users = payload.online
        ? [...here.users, payload.user]
        : here.users.filter((user) => user !== payload.user);
      here.count = Math.max(here.users.length, here.count + (payload.online ? 1 : -1));
    },
    typingSeen: (state, { payload }: PayloadAction<{ room: wire.Id; user: wire.Id; until: number }>) => {
      const typing = state.typing[payload.room] ?? {};
      typing[payload.user] = payload.until;
      state.typing[payload.room] = typing;
    },
    typingSwept: (state, { payload }: PayloadAction<{ now: number }>) => {
      for (const typing of Object.values(state.typing)) {
        for (const [user, until] of Object.entries(typing)) if (until <= payload.now) delete typing[user];
      }
    },
    presenceForgotten: () => initialState,
  },
  extraReducers: (builder) => {
    builder.addCase(eventsReceived, (state, { payload }) => {
      const typing = state.typing[payload.room];
      if (typing) for (const { author } of payload.events) delete typing[author];
    });
  },
});

export const { hereRead, presenceChanged, typingSeen, typingSwept, presenceForgotten } = presence.actions;
export const presenceReducer = presence.reducer;
