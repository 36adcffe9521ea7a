import { CloudOff, LoaderCircle, RotateCw } from "lucide-react";
import { retryWanted } from "../state/intents";
import { useAppDispatch, useAppSelector, useTick } from "./hooks";

/** A loss shorter than this is nobody's business. */
const SHOWN_AFTER_MS = 2_500;

/** Says how the connection stands, once it has been away for a moment. Typing goes on meanwhile. */
export function Banner() {
  const { status, lostAt, offline } = useAppSelector((state) => state.connection);
  const dispatch = useAppDispatch();
  useTick(500, lostAt !== null);
  const shown = status.kind === "stopped" || (lostAt !== null && Date.now() - lostAt > SHOWN_AFTER_MS);
  const words = shown ? bannerWords(status.kind, offline) : "";
  const seconds = status.kind === "waiting" ? Math.max(1, Math.ceil((status.until - Date.now()) / 1000)) : 0;
  return (
    <div className="banner-place">
      <div className="unseen" role="status">
        {words}
      </div>
      {shown && (
        <div className="banner">
          {status.kind === "connecting" ? (
            <LoaderCircle className="turning" size={18} strokeWidth={1.75} aria-hidden="true" />
          ) : (
            <CloudOff size={18} strokeWidth={1.75} aria-hidden="true" />
          )}
          <div className="banner-words">
            {words}
            {status.kind === "waiting" && <span className="figures quiet"> Next try in {seconds} s</span>}
          </div>
          {status.kind === "waiting" && (
            <button type="button" className="button small" onClick={() => dispatch(retryWanted())}>
              Retry now
            </button>
          )}
          {status.kind === "stopped" && (
            <button type="button" className="button small" onClick={() => window.location.reload()}>
              <RotateCw size={16} strokeWidth={1.75} aria-hidden="true" /> Reload
            </button>
          )}
        </div>
      )}
    </div>
  );
}

function bannerWords(kind: string, offline: boolean): string {
  if (kind === "stopped") return "The server speaks a newer version than this page.";
  if (offline) return "You are offline. Messages wait here and go out in order.";
  return kind === "connecting" ? "Connecting" : "No connection. Messages wait here and go out in order.";
}
