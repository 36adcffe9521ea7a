import { createSlice, type PayloadAction } from "@reduxjs/toolkit";

/** Something that a person asked for and that takes a moment. */
export interface Task {
  busy: boolean;
  /** Why it did not work out. */
  words: string | null;
}

const tasks = createSlice({
  name: "tasks",
  initialState: {} as Record<string, Task>,
  reducers: {
    taskStarted: (state, { payload }: PayloadAction<string>) => {
      state[payload] = { busy: true, words: null };
    },
    taskFailed: (state, { payload }: PayloadAction<{ task: string; words: string }>) => {
      state[payload.task] = { busy: false, words: payload.words };
    },
    taskEnded: (state, { payload }: PayloadAction<string>) => {
      delete state[payload];
    },
  },
});

export const { taskStarted, taskFailed, taskEnded } = tasks.actions;
export const tasksReducer = tasks.reducer;
