import { useState } from "react";
import { inviteWanted } from "../state/intents";
import { selectOpenRoom } from "../state/selectors";
import { Avatar } from "./Avatar";
import { Dialog } from "./Dialog";
import { useAppDispatch, useAppSelector } from "./hooks";

const SHOWN_MAX = 30;

/** Adds somebody whom one has met in another room. */
export function Invite() {
  const room = useAppSelector(selectOpenRoom);
  const people = useAppSelector((state) => state.people);
  const members = useAppSelector((state) => (room ? state.members[room.id]?.members : undefined));
  const [query, setQuery] = useState("");
  if (!room) return null;
  const inside = new Set(members?.map(({ user }) => user));
  const wanted = query.trim().toLocaleLowerCase();
  const found = Object.values(people)
    .filter(
      ({ id, name, handle }) => !inside.has(id) && `${name} ${handle}`.toLocaleLowerCase().includes(wanted),
    )
    .sort((a, b) => a.name.localeCompare(b.name))
    .slice(0, SHOWN_MAX);
  return (
    <Dialog title={`Add somebody to ${room.name}`}>
      <input
        type="search"
        className="field"
        placeholder="Find by name"
        aria-label="Find people by name"
        value={query}
        autoFocus
        onChange={(event) => setQuery(event.target.value)}
      />
      <ul className="plain invite-list">
        {found.map((user) => (
          <Invitable key={user.id} room={room.id} id={user.id} />
        ))}
      </ul>
      {found.length === 0 && (
        <p className="quiet">
          {wanted === ""
            ? "You have met nobody else yet. People appear here once you have seen them in a room."
            : "Nobody whom you have met has a name like that."}
        </p>
      )}
    </Dialog>
  );
}

function Invitable({ room, id }: { room: string; id: string }) {
  const dispatch = useAppDispatch();
  const user = useAppSelector((state) => state.people[id]);
  const task = useAppSelector((state) => state.tasks[`invite:${room}:${id}`]);
  return (
    <li className="member">
      <Avatar user={user} size={28} />
      <span className="side-name">
        <bdi>{user?.name}</bdi> <bdi className="quiet meta">@{user?.handle}</bdi>
        {task?.words && <span className="fault meta"> {task.words}</span>}
      </span>
      <button
        type="button"
        className="button small"
        aria-label={`Add ${user?.name}`}
        disabled={task?.busy}
        onClick={() => dispatch(inviteWanted({ room, user: id }))}
      >
        Add
      </button>
    </li>
  );
}
