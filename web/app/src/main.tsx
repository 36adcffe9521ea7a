import type { wire } from "@bobchat/client";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { Provider } from "react-redux";
import createSagaMiddleware from "redux-saga";
import { createClient } from "./client";
import { persist } from "./lib/persist";
import { rootSaga } from "./sagas";
import { type AppState, createStore } from "./state/store";
import { App } from "./views/App";
import { Fallback } from "./views/Fallback";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/frame.css";
import "./styles/conversation.css";
import "./styles/panes.css";

const saga = createSagaMiddleware();
const store = createStore(saga);

persist(store);
createClient(() => cursorsOf(store.getState())).then((client) => {
  saga.run(rootSaga, client);
  draw();
});

/** Draws the page once it is known whether somebody is signed in: the sign-in screen does not flash. */
function draw(): void {
  const page = document.getElementById("page");
  if (!page) return;
  createRoot(page).render(
    <StrictMode>
      <Provider store={store}>
        <Fallback>
          <App />
        </Fallback>
      </Provider>
    </StrictMode>,
  );
}

/** Where the page stands in each room, the open room first: a frame before sign-in holds a few dozen. */
function cursorsOf({ windows, ui }: AppState): wire.Cursor[] {
  const open = ui.route.page === "room" ? ui.route.room : undefined;
  return Object.entries(windows)
    .sort(([a], [b]) => Number(b === open) - Number(a === open))
    .map(([room, { window }]) => ({ room, ...window.cursor }));
}
