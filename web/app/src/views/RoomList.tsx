import { CircleHelp, Compass, Hash, Lock, Plus, Search } from "lucide-react";
import { memo } from "react";
import { hrefOf } from "../lib/route";
import { badgeWords } from "../lib/words";
import type { RoomEntry } from "../state/rooms";
import { selectRooms, unreadOf } from "../state/selectors";
import { dialogOpened } from "../state/ui";
import { Avatar } from "./Avatar";
import { useAppDispatch, useAppSelector } from "./hooks";
import { IconButton } from "./IconButton";
import { Mark } from "./Mark";
import { Skeleton } from "./Skeleton";

/** The rooms, and the ways to more of them. */
export function RoomList({ onHelp }: { onHelp: () => void }) {
  const dispatch = useAppDispatch();
  const loaded = useAppSelector((state) => state.rooms.loaded);
  const rooms = useAppSelector(selectRooms);
  const me = useAppSelector((state) => state.session.me);
  const browsing = useAppSelector((state) => state.ui.route.page === "browse");
  return (
    <nav className="side" aria-label="Rooms" data-region="rooms" tabIndex={-1}>
      <header className="side-head">
        <Mark size={24} />
        <span className="wordmark">Bobchat</span>
        <a
          className="icon-button"
          href={hrefOf({ page: "browse" })}
          aria-label="Browse rooms"
          aria-current={browsing ? "page" : undefined}
          title="Browse rooms"
        >
          <Compass size={18} strokeWidth={1.75} aria-hidden="true" />
        </a>
        <IconButton icon={Plus} label="New room" onClick={() => dispatch(dialogOpened("create"))} />
      </header>
      <div className="side-tools">
        <button type="button" className="jump" onClick={() => dispatch(dialogOpened("switcher"))}>
          <Search size={18} strokeWidth={1.75} aria-hidden="true" />
          <span>Jump to a room</span>
          <kbd>Ctrl K</kbd>
        </button>
      </div>
      <div className="side-rooms">
        {!loaded && <Skeleton lines={5} label="Loading rooms" />}
        {loaded && rooms.length === 0 && (
          <p className="side-empty quiet">No rooms yet. Browse, or make one.</p>
        )}
        <ul className="plain">
          {rooms.map((room) => (
            <RoomItem key={room.id} room={room} />
          ))}
        </ul>
      </div>
      <footer className="side-foot">
        <button type="button" className="me" onClick={() => dispatch(dialogOpened("profile"))}>
          <Avatar user={me ?? undefined} size={28} />
          <bdi className="side-name">{me?.name}</bdi>
        </button>
        <IconButton icon={CircleHelp} label="Keys" keys="Ctrl /" onClick={onHelp} />
      </footer>
    </nav>
  );
}

const RoomItem = memo(function RoomItem({ room }: { room: RoomEntry }) {
  const current = useAppSelector(
    (state) => state.ui.route.page === "room" && state.ui.route.room === room.id,
  );
  const unread = useAppSelector((state) => unreadOf(room, state));
  const draft = useAppSelector((state) => !current && state.drafts[room.id] !== undefined);
  const waiting = useAppSelector((state) =>
    state.outbox.some((one) => one.room === room.id && one.state === "failed"),
  );
  const Icon = room.kind === "private" ? Lock : Hash;
  return (
    <li>
      <a
        className={unread > 0 ? "side-item unread" : "side-item"}
        href={hrefOf({ page: "room", room: room.id })}
        aria-current={current ? "page" : undefined}
      >
        <Icon
          size={18}
          strokeWidth={1.75}
          role="img"
          aria-label={room.kind === "private" ? "Private" : "Public"}
        />
        <bdi className="side-name">{room.name}</bdi>
        {waiting && <span className="side-note fault">Not sent</span>}
        {!waiting && draft && <span className="side-note">Draft</span>}
        {unread > 0 && (
          <span className="badge figures">
            {badgeWords(unread)}
            <span className="unseen"> unread</span>
          </span>
        )}
      </a>
    </li>
  );
});
