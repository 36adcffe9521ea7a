import type { wire } from "@bobchat/client";
import { Link2, LogOut, UserPlus, X } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { countWords } from "../lib/words";
import { leaveWanted, membersWanted, moreMembersWanted } from "../state/intents";
import type { RoomEntry } from "../state/rooms";
import { detailsToggled, dialogOpened } from "../state/ui";
import { Avatar } from "./Avatar";
import { useAppDispatch, useAppSelector } from "./hooks";
import { IconButton } from "./IconButton";
import { Skeleton } from "./Skeleton";

/** What a room is for, who belongs to it and who is here. */
export function Details({ room }: { room: RoomEntry }) {
  const dispatch = useAppDispatch();
  const pane = useRef<HTMLElement>(null);
  useEffect(() => pane.current?.focus(), []);
  const close = () => {
    dispatch(detailsToggled(false));
    document.getElementById("composer")?.focus();
  };
  return (
    <aside
      ref={pane}
      className="details"
      aria-label={`Details of ${room.name}`}
      data-region="details"
      tabIndex={-1}
    >
      <header className="pane-head">
        <h2 className="pane-words">Details</h2>
        <IconButton icon={X} label="Close" keys="Esc" onClick={close} />
      </header>
      <div className="details-body">
        {room.topic && (
          <p>
            <bdi>{room.topic}</bdi>
          </p>
        )}
        <p className="quiet meta">{kindWords(room)}</p>
        <div className="details-actions">
          <button type="button" className="side-item" onClick={() => dispatch(dialogOpened("invite"))}>
            <UserPlus size={18} strokeWidth={1.75} aria-hidden="true" />
            Add somebody
          </button>
          <CopyLink />
          <Leave room={room} />
        </div>
        <Members room={room} />
      </div>
    </aside>
  );
}

function kindWords(room: RoomEntry): string {
  const who = room.kind === "private" ? "Private: members invite." : "Public: anybody can join.";
  const past =
    room.history === "from_join"
      ? "New members see what is said after they join."
      : "New members see everything.";
  return `${who} ${past}`;
}

function CopyLink() {
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) return;
    const timer = setTimeout(() => setCopied(false), 2_000);
    return () => clearTimeout(timer);
  }, [copied]);
  // Pages served without TLS have no clipboard.
  if (!navigator.clipboard) return null;
  const copy = () =>
    navigator.clipboard.writeText(window.location.href).then(
      () => setCopied(true),
      () => setCopied(false),
    );
  return (
    <button type="button" className="side-item" onClick={copy}>
      <Link2 size={18} strokeWidth={1.75} aria-hidden="true" />
      <span aria-live="polite">{copied ? "Copied" : "Copy link"}</span>
    </button>
  );
}

/** Asks once: out of a private room there is no way back without an invitation. */
function Leave({ room }: { room: RoomEntry }) {
  const dispatch = useAppDispatch();
  const task = useAppSelector((state) => state.tasks[`leave:${room.id}`]);
  const [asked, setAsked] = useState(false);
  const leave = () => {
    if (room.kind === "private" && !asked) setAsked(true);
    else dispatch(leaveWanted({ room: room.id }));
  };
  return (
    <>
      <button type="button" className="side-item" disabled={task?.busy} onClick={leave}>
        <LogOut size={18} strokeWidth={1.75} aria-hidden="true" />
        {asked ? "Leave for good: only an invitation brings you back" : "Leave room"}
      </button>
      {task?.words && (
        <p className="fault meta" role="alert">
          {task.words}
        </p>
      )}
    </>
  );
}

function Members({ room }: { room: RoomEntry }) {
  const dispatch = useAppDispatch();
  const entry = useAppSelector((state) => state.members[room.id]);
  const here = useAppSelector((state) => state.presence.here[room.id]?.users);
  const task = useAppSelector((state) => state.tasks[`members:${room.id}`]);
  const live = useAppSelector((state) => state.connection.status.kind === "live");
  const stale = entry?.stale ?? true;
  useEffect(() => {
    if (live && stale) dispatch(membersWanted({ room: room.id }));
  }, [dispatch, room.id, live, stale]);
  const present = new Set(here);
  const members = entry?.members ?? [];
  const sorted = [...members].sort((a, b) => Number(present.has(b.user)) - Number(present.has(a.user)));
  return (
    <section aria-labelledby="members-title">
      <h3 id="members-title" className="details-title figures">
        {countWords(room.memberCount, "member", "members")}
      </h3>
      {task?.words && (
        <p className="fault meta" role="alert">
          {task.words}
        </p>
      )}
      {!entry && !task?.words && <Skeleton lines={4} label="Loading members" />}
      <ul className="plain">
        {sorted.map(({ user, role }) => (
          <MemberItem key={user} user={user} role={role} here={present.has(user)} />
        ))}
      </ul>
      {entry?.hasMore && (
        <button
          type="button"
          className="button"
          disabled={task?.busy}
          onClick={() => dispatch(moreMembersWanted({ room: room.id }))}
        >
          Show more
        </button>
      )}
    </section>
  );
}

function MemberItem({ user: id, role, here }: { user: wire.Id; role: wire.Role; here: boolean }) {
  const user = useAppSelector((state) => state.people[id]);
  const me = useAppSelector((state) => state.session.me?.id === id);
  return (
    <li className="member">
      <Avatar user={user} size={28} />
      <bdi className="side-name">{user?.name ?? "Somebody"}</bdi>
      {me && <span className="side-note">you</span>}
      {role === "owner" && <span className="side-note">owner</span>}
      {here && (
        <span className="here">
          <i aria-hidden="true" />
          here
        </span>
      )}
    </li>
  );
}
