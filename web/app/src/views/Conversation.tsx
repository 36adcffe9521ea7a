import type { wire } from "@bobchat/client";
import { ArrowLeft, Hash, Lock, Users } from "lucide-react";
import { useState } from "react";
import { navigate } from "../lib/route";
import { countWords } from "../lib/words";
import type { RoomEntry } from "../state/rooms";
import { detailsToggled } from "../state/ui";
import { Composer } from "./Composer";
import { Details } from "./Details";
import { NARROW, useAppDispatch, useAppSelector, useMedia } from "./hooks";
import { IconButton } from "./IconButton";
import { MessageList } from "./MessageList";
import { Outside } from "./Outside";
import { Skeleton } from "./Skeleton";
import { TypingLine } from "./TypingLine";

/** A room: its head, its messages, the box to write in, and its details on demand. */
export function Conversation({ room: id }: { room: wire.Id }) {
  const room = useAppSelector((state) => state.rooms.byId[id]);
  const loaded = useAppSelector((state) => state.rooms.loaded);
  const details = useAppSelector((state) => state.ui.details);
  const narrow = useMedia(NARROW);
  if (!room) return loaded ? <Outside room={id} /> : <Waiting />;
  return (
    <div className={details ? "room with-details" : "room"}>
      {!(narrow && details) && <Talk room={room} narrow={narrow} />}
      {details && <Details room={room} />}
    </div>
  );
}

function Talk({ room, narrow }: { room: RoomEntry; narrow: boolean }) {
  // Counts what one sent from here: each brings the newest message on the screen.
  const [sent, setSent] = useState(0);
  return (
    <main className="talk" aria-label={room.name}>
      <Head room={room} narrow={narrow} />
      <MessageList room={room} jump={sent} />
      <TypingLine room={room.id} />
      <Composer room={room} onSent={() => setSent((count) => count + 1)} />
    </main>
  );
}

function Head({ room, narrow }: { room: RoomEntry; narrow: boolean }) {
  const dispatch = useAppDispatch();
  // Without a connection nobody knows who is here.
  const live = useAppSelector((state) => state.connection.status.kind === "live");
  const known = useAppSelector((state) => state.presence.here[room.id]?.count);
  const here = live ? known : undefined;
  const open = useAppSelector((state) => state.ui.details);
  const Icon = room.kind === "private" ? Lock : Hash;
  const members = countWords(room.memberCount, "member", "members");
  return (
    <header className="pane-head">
      {narrow ? (
        <IconButton icon={ArrowLeft} label="All rooms" onClick={() => navigate({ page: "rooms" })} />
      ) : (
        <Icon className="quiet" size={18} strokeWidth={1.75} role="img" aria-label={room.kind} />
      )}
      <div className="pane-words">
        <h1>
          <bdi>{room.name}</bdi>
        </h1>
        {room.topic && (
          <p className="pane-topic quiet meta" title={room.topic}>
            <bdi>{room.topic}</bdi>
          </p>
        )}
      </div>
      <button
        type="button"
        className="button plain-button figures"
        aria-expanded={open}
        aria-label={here === undefined ? members : `${members}, ${here} here`}
        title="Details"
        onClick={() => dispatch(detailsToggled())}
      >
        <Users size={18} strokeWidth={1.75} aria-hidden="true" />
        {narrow ? room.memberCount : members}
        {here !== undefined && !narrow && <span className="here-count">{here} here</span>}
      </button>
    </header>
  );
}

function Waiting() {
  return (
    <main className="talk" aria-busy="true">
      <header className="pane-head" />
      <div className="messages">
        <Skeleton lines={6} label="Loading the room" />
      </div>
    </main>
  );
}
