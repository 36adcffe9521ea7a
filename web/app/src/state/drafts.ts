import type { wire } from "@bobchat/client";
import { createSlice, type PayloadAction } from "@reduxjs/toolkit";

/** What was written and not sent, per room. */
export type DraftsState = Record<wire.Id, string>;

const drafts = createSlice({
  name: "drafts",
  initialState: {} as DraftsState,
  reducers: {
    draftsRestored: (_, { payload }: PayloadAction<DraftsState>) => payload,
    drafted: (state, { payload }: PayloadAction<{ room: wire.Id; text: string }>) => {
      if (payload.text === "") delete state[payload.room];
      else state[payload.room] = payload.text;
    },
  },
});

export const { draftsRestored, drafted } = drafts.actions;
export const draftsReducer = drafts.reducer;
