import type { wire } from "@bobchat/client";
import { createSlice, type PayloadAction } from "@reduxjs/toolkit";

/** Where one is, as the address says. */
export type Route = { page: "rooms" } | { page: "room"; room: wire.Id } | { page: "browse" };

/** What lies over the page. */
export type Dialog = "switcher" | "create" | "invite" | "help" | "profile";

/** What is open. */
export interface UiState {
  route: Route;
  dialog: Dialog | null;
  details: boolean;
}

const initialState: UiState = { route: { page: "rooms" }, dialog: null, details: false };

const ui = createSlice({
  name: "ui",
  initialState,
  reducers: {
    routeChanged: (state, { payload }: PayloadAction<Route>) => {
      state.route = payload;
      state.dialog = null;
    },
    dialogOpened: (state, { payload }: PayloadAction<Dialog>) => {
      state.dialog = payload;
    },
    dialogClosed: (state) => {
      state.dialog = null;
    },
    detailsToggled: (state, { payload }: PayloadAction<boolean | undefined>) => {
      state.details = payload ?? !state.details;
    },
  },
});

export const { routeChanged, dialogOpened, dialogClosed, detailsToggled } = ui.actions;
export const uiReducer = ui.reducer;
