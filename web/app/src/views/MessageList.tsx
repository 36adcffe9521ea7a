import { isLoaded } from "@bobchat/client";
import { ArrowDown } from "lucide-react";
import { type KeyboardEvent, memo, useCallback, useEffect, useMemo, useRef, useState } from "react";
import { type Row, rowsOf } from "../lib/rows";
import { countWords, dayWords } from "../lib/words";
import { latestWanted, newerWanted, olderWanted, roomWanted } from "../state/intents";
import { readUpTo } from "../state/reads";
import type { RoomEntry } from "../state/rooms";
import {
  selectHasOlder,
  selectMessages,
  selectShowsLatest,
  selectUnsent,
  unreadOf,
} from "../state/selectors";
import { Announcer } from "./Announcer";
import { useAppDispatch, useAppSelector, useWatched } from "./hooks";
import { Message } from "./Message";
import { Skeleton } from "./Skeleton";
import { useScrollKeeper } from "./useScrollKeeper";

/** The messages of a room, read both ways. */
export function MessageList({ room, jump }: { room: RoomEntry; jump: number }) {
  const dispatch = useAppDispatch();
  const me = useAppSelector((state) => state.session.me?.id ?? "");
  const messages = useAppSelector((state) => selectMessages(state, room.id));
  const showsLatest = useAppSelector((state) => selectShowsLatest(state, room.id));
  const hasOlder = useAppSelector((state) => selectHasOlder(state, room.id));
  const unsent = useAppSelector((state) => selectUnsent(state, room.id));
  const entry = useAppSelector((state) => state.windows[room.id]);
  const unread = useAppSelector((state) => unreadOf(room, state));
  const ready = entry !== undefined && isLoaded(entry.window);
  const newAfter = useNewMark(room);
  const rows = useMemo(
    () => (ready ? rowsOf(messages, showsLatest ? unsent : [], me, newAfter) : []),
    [ready, messages, showsLatest, unsent, me, newAfter],
  );
  const scroller = useRef<HTMLDivElement>(null);
  const onNearTop = useCallback(
    (anchor: number | null) => hasOlder && dispatch(olderWanted({ room: room.id, anchor })),
    [dispatch, room.id, hasOlder],
  );
  const onNearEnd = useCallback(
    (anchor: number | null) => dispatch(newerWanted({ room: room.id, anchor })),
    [dispatch, room.id],
  );
  const keeper = useScrollKeeper(scroller, {
    room: room.id,
    ready,
    showsLatest,
    jump,
    rows,
    onNearTop,
    onNearEnd,
  });
  useReading(room, ready && keeper.atLatest && showsLatest);
  const toLatest = () => {
    dispatch(latestWanted({ room: room.id }));
    keeper.jumpToLatest();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key !== "End") return;
    event.preventDefault();
    toLatest();
  };
  return (
    <div className="messages-place">
      <div
        ref={scroller}
        className="messages"
        role="log"
        aria-live="off"
        aria-label={`Messages in ${room.name}`}
        aria-busy={!ready}
        data-region="messages"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to take the keys that scroll.
        tabIndex={0}
        onKeyDown={onKeyDown}
      >
        <div className="messages-column">
          {!ready && <Loading room={room} />}
          {ready && !hasOlder && <Beginning room={room} />}
          {ready && entry.failed?.edge === "older" && (
            <Again room={room} words={entry.failed.words} edge="older" />
          )}
          <Rows rows={rows} />
          {ready && entry.failed?.edge === "newer" && (
            <Again room={room} words={entry.failed.words} edge="newer" />
          )}
        </div>
      </div>
      {ready && !(keeper.atLatest && showsLatest) && (
        <button type="button" className="to-latest" onClick={toLatest}>
          <ArrowDown size={16} strokeWidth={2} aria-hidden="true" />
          Jump to latest
          {unread > 0 && <span className="figures">{countWords(unread, "new", "new")}</span>}
        </button>
      )}
      <Announcer room={room.id} />
    </div>
  );
}

/** The lines. Drawn anew when they change, and not when a read mark moves. */
const Rows = memo(function Rows({ rows }: { rows: Row[] }) {
  const lastOwn = rows.findLast(
    (row) => row.kind === "message" && row.own && row.entry?.state !== "failed",
  )?.key;
  return rows.map((row) => <Line key={row.key} row={row} showsSent={row.key === lastOwn} />);
});

function Line({ row, showsSent }: { row: Row; showsSent: boolean }) {
  switch (row.kind) {
    case "message":
      return <Message row={row} showsSent={showsSent} />;
    case "day":
      return <h2 className="day-line">{dayWords(row.at)}</h2>;
    case "new":
      return (
        <div className="new-line" data-new="">
          New
        </div>
      );
  }
}

/** Marks what is on the screen as read: only while somebody looks, and only at the newest message. */
function useReading(room: RoomEntry, atLatest: boolean): void {
  const dispatch = useAppDispatch();
  const watched = useWatched();
  const { id, ordinal } = room;
  const { seq } = room.head;
  useEffect(() => {
    if (atLatest && watched) dispatch(readUpTo({ room: id, seq, ordinal }));
  }, [dispatch, atLatest, watched, id, seq, ordinal]);
}

/**
 * After which message the mark of what is new stands: where one had read up to when the room was opened,
 * or when one looked away from it with everything read. It does not move while one reads.
 */
function useNewMark(room: RoomEntry): number | null {
  const read = useAppSelector((state) => state.reads[room.id]?.ordinal);
  const watched = useWatched();
  const [mark, setMark] = useState(() => (read !== undefined && read < room.ordinal ? read : null));
  const known = useRef({ read, ordinal: room.ordinal });
  known.current = { read, ordinal: room.ordinal };
  useEffect(() => {
    const { read: upTo, ordinal } = known.current;
    if (!watched && upTo !== undefined && upTo >= ordinal) setMark(upTo);
  }, [watched]);
  return mark;
}

/** Where the conversation began. */
function Beginning({ room }: { room: RoomEntry }) {
  return (
    <div className="beginning">
      <h2>
        <bdi>{room.name}</bdi>
      </h2>
      <p className="quiet">
        {room.ordinal === 0
          ? "Nothing here yet. Say hello."
          : room.history === "from_join"
            ? "You see what was said since you joined."
            : "This is where it began."}
      </p>
    </div>
  );
}

function Loading({ room }: { room: RoomEntry }) {
  const dispatch = useAppDispatch();
  const failed = useAppSelector((state) => state.windows[room.id]?.failed);
  const live = useAppSelector((state) => state.connection.status.kind === "live");
  if (!failed || !live) return <Skeleton lines={6} label="Loading messages" />;
  return (
    <div className="beginning" role="alert">
      <p>{failed.words}</p>
      <button type="button" className="button" onClick={() => dispatch(roomWanted({ room: room.id }))}>
        Try again
      </button>
    </div>
  );
}

function Again({ room, words, edge }: { room: RoomEntry; words: string; edge: "older" | "newer" }) {
  const dispatch = useAppDispatch();
  const wanted = edge === "older" ? olderWanted : newerWanted;
  return (
    <p className="again quiet meta">
      {words}{" "}
      <button
        type="button"
        className="link"
        onClick={() => dispatch(wanted({ room: room.id, anchor: null }))}
      >
        Try again
      </button>
    </p>
  );
}
