import { combineReducers, configureStore, type Middleware, type UnknownAction } from "@reduxjs/toolkit";
import { browseReducer } from "./browse";
import { connectionReducer } from "./connection";
import { draftsReducer } from "./drafts";
import { membersReducer } from "./members";
import { outboxReducer } from "./outbox";
import { peopleReducer } from "./people";
import { presenceReducer } from "./presence";
import { readsReducer } from "./reads";
import { roomsReducer } from "./rooms";
import { sessionReducer, signedOut } from "./session";
import { tasksReducer } from "./tasks";
import { uiReducer } from "./ui";
import { windowsReducer } from "./windows";

const combined = combineReducers({
  session: sessionReducer,
  connection: connectionReducer,
  rooms: roomsReducer,
  windows: windowsReducer,
  outbox: outboxReducer,
  people: peopleReducer,
  presence: presenceReducer,
  members: membersReducer,
  reads: readsReducer,
  drafts: draftsReducer,
  tasks: tasksReducer,
  browse: browseReducer,
  ui: uiReducer,
});

/** Everything that the page knows. */
export type AppState = ReturnType<typeof combined>;

/** Nothing of one person is left for the next: signing out keeps the connection's state and the place alone. */
function reducer(state: AppState | undefined, action: UnknownAction): AppState {
  if (state && signedOut.match(action)) {
    const { connection, ui } = state;
    return combined(
      { ...combined(undefined, { type: "forget" }), connection, ui: { ...ui, dialog: null } },
      action,
    );
  }
  return combined(state, action);
}

/** Makes the store; `saga` runs the effects. */
export function createStore(saga: Middleware) {
  return configureStore({
    reducer,
    // The checks of the toolkit walk the whole state, thousands of messages, after every action.
    middleware: (defaults) =>
      defaults({ thunk: false, serializableCheck: false, immutableCheck: false }).concat(saga),
  });
}

export type AppDispatch = ReturnType<typeof createStore>["dispatch"];
