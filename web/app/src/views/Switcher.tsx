import { Hash, Lock } from "lucide-react";
import { type KeyboardEvent, useMemo, useState } from "react";
import { useStore } from "react-redux";
import { matchRooms } from "../lib/match";
import { navigate } from "../lib/route";
import { badgeWords } from "../lib/words";
import { selectRooms, unreadOf } from "../state/selectors";
import type { AppState } from "../state/store";
import { dialogClosed } from "../state/ui";
import { Dialog } from "./Dialog";
import { useAppDispatch, useAppSelector } from "./hooks";

const SHOWN_MAX = 12;

/** Goes to a room by a few letters of its name. */
export function Switcher() {
  const dispatch = useAppDispatch();
  const store = useStore<AppState>();
  const rooms = useAppSelector(selectRooms);
  const [query, setQuery] = useState("");
  const [at, setAt] = useState(0);
  const found = useMemo(() => {
    const state = store.getState();
    const items = rooms.map((room) => ({ room, unread: unreadOf(room, state) }));
    return matchRooms(items, query).slice(0, SHOWN_MAX);
  }, [rooms, query, store]);
  const go = (index: number) => {
    const item = found[index];
    if (!item) return;
    dispatch(dialogClosed());
    navigate({ page: "room", room: item.room.id });
    setTimeout(() => document.getElementById("composer")?.focus());
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    if (step !== 0 && found.length > 0) setAt((now) => (now + step + found.length) % found.length);
    else if (event.key === "Enter" && !event.nativeEvent.isComposing) go(at);
    else return;
    event.preventDefault();
  };
  return (
    <Dialog title="Jump to a room" bare>
      <input
        className="field large switcher-field"
        placeholder="Jump to a room"
        aria-label="Jump to a room"
        role="combobox"
        aria-expanded="true"
        aria-controls="switcher-list"
        aria-activedescendant={found[at] ? `switch-${found[at].room.id}` : undefined}
        value={query}
        autoFocus
        autoComplete="off"
        onChange={(event) => {
          setQuery(event.target.value);
          setAt(0);
        }}
        onKeyDown={onKeyDown}
      />
      <div id="switcher-list" className="switcher-list" role="listbox" aria-label="Rooms">
        {found.map(({ room, unread }, index) => (
          // biome-ignore lint/a11y/useKeyWithClickEvents: the keys are the field's.
          // biome-ignore lint/a11y/useFocusableInteractive: the focus stays in the field.
          <div
            key={room.id}
            id={`switch-${room.id}`}
            className="side-item"
            role="option"
            aria-selected={index === at}
            onClick={() => go(index)}
            onPointerMove={() => setAt(index)}
          >
            {room.kind === "private" ? (
              <Lock size={18} strokeWidth={1.75} aria-hidden="true" />
            ) : (
              <Hash size={18} strokeWidth={1.75} aria-hidden="true" />
            )}
            <bdi className="side-name">{room.name}</bdi>
            {unread > 0 && <span className="badge figures">{badgeWords(unread)}</span>}
          </div>
        ))}
        {found.length === 0 && <p className="side-empty quiet">No room of yours has a name like that.</p>}
      </div>
    </Dialog>
  );
}
