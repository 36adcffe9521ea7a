import { hrefOf } from "../lib/route";
import { dialogOpened } from "../state/ui";
import { useAppDispatch } from "./hooks";

/** Beside the list when no room is open. */
export function NoRoom() {
  const dispatch = useAppDispatch();
  return (
    <main className="empty" data-region="main" tabIndex={-1}>
      <h1>Choose a room</h1>
      <p className="quiet">Pick one on the left, find a public one, or make your own.</p>
      <p className="actions">
        <a className="button primary" href={hrefOf({ page: "browse" })}>
          Browse rooms
        </a>
        <button type="button" className="button" onClick={() => dispatch(dialogOpened("create"))}>
          New room
        </button>
      </p>
    </main>
  );
}
