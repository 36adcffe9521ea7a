import { ArrowLeft } from "lucide-react";
import { useEffect, useState } from "react";
import { hrefOf, navigate } from "../lib/route";
import { countWords } from "../lib/words";
import { browseMoreWanted, browseWanted, joinWanted } from "../state/intents";
import type { RoomEntry } from "../state/rooms";
import { dialogOpened } from "../state/ui";
import { NARROW, useAppDispatch, useAppSelector, useMedia } from "./hooks";
import { IconButton } from "./IconButton";
import { Skeleton } from "./Skeleton";

/** Finds public rooms. */
export function Browse() {
  const dispatch = useAppDispatch();
  const { found, hasMore, settled } = useAppSelector((state) => state.browse);
  const task = useAppSelector((state) => state.tasks.browse);
  const live = useAppSelector((state) => state.connection.status.kind === "live");
  const narrow = useMedia(NARROW);
  const [query, setQuery] = useState("");
  useEffect(() => {
    if (live) dispatch(browseWanted({ query }));
  }, [dispatch, query, live]);
  return (
    <main className="browse" data-region="main" tabIndex={-1} aria-labelledby="browse-title">
      <header className="pane-head">
        {narrow && (
          <IconButton icon={ArrowLeft} label="All rooms" onClick={() => navigate({ page: "rooms" })} />
        )}
        <h1 id="browse-title">Browse rooms</h1>
      </header>
      <div className="browse-body">
        <input
          type="search"
          className="field"
          placeholder="Find by name"
          aria-label="Find rooms by name"
          value={query}
          autoFocus={!narrow}
          onChange={(event) => setQuery(event.target.value)}
        />
        {task?.words && (
          <p className="fault" role="alert">
            {task.words}
          </p>
        )}
        {!settled && found.length === 0 && !task?.words && <Skeleton lines={4} label="Loading rooms" />}
        <ul className="plain browse-list" aria-busy={!settled}>
          {found.map((room) => (
            <FoundRoom key={room.id} found={room} />
          ))}
        </ul>
        {settled && found.length === 0 && <NothingFound query={query} />}
        {hasMore && (
          <button
            type="button"
            className="button"
            onClick={() => dispatch(browseMoreWanted())}
            disabled={task?.busy}
          >
            Show more
          </button>
        )}
      </div>
    </main>
  );
}

function NothingFound({ query }: { query: string }) {
  const dispatch = useAppDispatch();
  return (
    <div className="browse-none">
      <p className="quiet">
        {query.trim() === "" ? "There is no public room yet." : "No public room has a name like that."}
      </p>
      <button type="button" className="button" onClick={() => dispatch(dialogOpened("create"))}>
        New room
      </button>
    </div>
  );
}

function FoundRoom({ found }: { found: RoomEntry }) {
  const dispatch = useAppDispatch();
  const own = useAppSelector((state) => state.rooms.byId[found.id]);
  const task = useAppSelector((state) => state.tasks[`join:${found.id}`]);
  const room = own ?? found;
  return (
    <li className="browse-room">
      <div className="browse-words">
        <bdi className="strong">{room.name}</bdi>
        {room.topic && <bdi className="browse-topic">{room.topic}</bdi>}
        <span className="quiet meta figures">{countWords(room.memberCount, "member", "members")}</span>
        {task?.words && <span className="fault meta">{task.words}</span>}
      </div>
      {own ? (
        <a className="button plain-button" href={hrefOf({ page: "room", room: room.id })}>
          Open
        </a>
      ) : (
        <button
          type="button"
          className="button inviting"
          aria-label={`Join ${room.name}`}
          disabled={task?.busy}
          onClick={() => dispatch(joinWanted({ room: room.id }))}
        >
          Join
        </button>
      )}
    </li>
  );
}
