import type { wire } from "@bobchat/client";
import { createSlice, type PayloadAction } from "@reduxjs/toolkit";

/** Who is signed in. */
export interface SessionState {
  me: wire.User | null;
  /** Why the sign-in screen is shown, when it was not the person's wish. */
  words: string | null;
}

const initialState: SessionState = { me: null, words: null };

const session = createSlice({
  name: "session",
  initialState,
  reducers: {
    signedIn: (_, action: PayloadAction<wire.User>) => ({ me: action.payload, words: null }),
    signedOut: (_, action: PayloadAction<{ words: string | null }>) => ({
      me: null,
      words: action.payload.words,
    }),
  },
});

export const { signedIn, signedOut } = session.actions;
export const sessionReducer = session.reducer;
