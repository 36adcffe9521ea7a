import type { OutboxEntry } from "@bobchat/client";
import { createSlice, type PayloadAction } from "@reduxjs/toolkit";

/** What is on its way out: a mirror of the client's outbox. */
const outbox = createSlice({
  name: "outbox",
  initialState: [] as readonly OutboxEntry[],
  reducers: {
    outboxChanged: (_, { payload }: PayloadAction<readonly OutboxEntry[]>) => payload as OutboxEntry[],
  },
});

export const { outboxChanged } = outbox.actions;
export const outboxReducer = outbox.reducer;
