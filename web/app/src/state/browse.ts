import { createSlice, type PayloadAction } from "@reduxjs/toolkit";
import type { RoomEntry } from "./rooms";

/** Public rooms that were found. */
export interface BrowseState {
  query: string;
  found: RoomEntry[];
  hasMore: boolean;
  /** Whether `found` answers `query`. */
  settled: boolean;
}

const initialState: BrowseState = { query: "", found: [], hasMore: false, settled: false };

const browse = createSlice({
  name: "browse",
  initialState,
  reducers: {
    browseAsked: (state, { payload }: PayloadAction<string>) => {
      state.query = payload;
      state.settled = false;
    },
    browseFound: (
      state,
      { payload }: PayloadAction<{ query: string; rooms: RoomEntry[]; hasMore: boolean; first: boolean }>,
    ) => {
      if (payload.query !== state.query) return;
      state.found = payload.first ? payload.rooms : [...state.found, ...payload.rooms];
      state.hasMore = payload.hasMore;
      state.settled = true;
    },
  },
});

export const { browseAsked, browseFound } = browse.actions;
export const browseReducer = browse.reducer;
