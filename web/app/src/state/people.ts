import type { wire } from "@bobchat/client";
import { createSlice, type PayloadAction } from "@reduxjs/toolkit";
import { signedIn } from "./session";

/** Everybody that the page has met. */
export type PeopleState = Record<wire.Id, wire.User>;

const people = createSlice({
  name: "people",
  initialState: {} as PeopleState,
  reducers: {
    peopleMet: (state, { payload }: PayloadAction<wire.User[]>) => {
      for (const user of payload) state[user.id] = user;
    },
  },
  extraReducers: (builder) => {
    builder.addCase(signedIn, (state, { payload }) => {
      state[payload.id] = payload;
    });
  },
});

export const { peopleMet } = people.actions;
export const peopleReducer = people.reducer;
