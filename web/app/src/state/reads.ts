import type { wire } from "@bobchat/client";
import { createSlice, type PayloadAction } from "@reduxjs/toolkit";

/** Up to where this browser's person has read a room. */
export interface Read {
  seq: number;
  ordinal: number;
}

/** Read marks of all rooms: only ever forward. */
export type ReadsState = Record<wire.Id, Read>;

const reads = createSlice({
  name: "reads",
  initialState: {} as ReadsState,
  reducers: {
    readsRestored: (_, { payload }: PayloadAction<ReadsState>) => payload,
    readUpTo: (state, { payload }: PayloadAction<{ room: wire.Id } & Read>) => {
      const before = state[payload.room];
      if (before && before.ordinal >= payload.ordinal) return;
      state[payload.room] = { seq: payload.seq, ordinal: payload.ordinal };
    },
  },
});

export const { readsRestored, readUpTo } = reads.actions;
export const readsReducer = reads.reducer;
