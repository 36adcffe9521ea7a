import type { Status } from "@bobchat/client";
import { createSlice, type PayloadAction } from "@reduxjs/toolkit";

/** How the connection stands. */
export interface ConnectionState {
  status: Status;
  /** Since when it is not live, in milliseconds; `null` while it is. */
  lostAt: number | null;
  /** Whether the browser says that there is no network at all. */
  offline: boolean;
  /** Whether it was ever live since the page was loaded. */
  wasLive: boolean;
}

const initialState: ConnectionState = {
  status: { kind: "idle" },
  lostAt: null,
  offline: false,
  wasLive: false,
};

const connection = createSlice({
  name: "connection",
  initialState,
  reducers: {
    statusChanged: (state, { payload }: PayloadAction<{ status: Status; now: number }>) => {
      state.status = payload.status;
      const up = payload.status.kind === "live" || payload.status.kind === "idle";
      state.lostAt = up ? null : (state.lostAt ?? payload.now);
      state.wasLive ||= payload.status.kind === "live";
    },
    networkChanged: (state, { payload }: PayloadAction<{ offline: boolean }>) => {
      state.offline = payload.offline;
    },
  },
});

export const { statusChanged, networkChanged } = connection.actions;
export const connectionReducer = connection.reducer;
