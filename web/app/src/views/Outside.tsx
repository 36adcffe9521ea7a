import type { wire } from "@bobchat/client";
import { hrefOf } from "../lib/route";
import { countWords } from "../lib/words";
import { joinWanted } from "../state/intents";
import { useAppDispatch, useAppSelector } from "./hooks";
import { Skeleton } from "./Skeleton";

/** A room that one is not a member of: the door, or that there is none. */
export function Outside({ room: id }: { room: wire.Id }) {
  const dispatch = useAppDispatch();
  const room = useAppSelector((state) => state.rooms.visited[id]);
  const task = useAppSelector((state) => state.tasks[`join:${id}`]);
  if (!room) {
    return (
      <main className="empty" aria-busy="true">
        <Skeleton lines={3} label="Loading the room" />
      </main>
    );
  }
  if (room === "absent") {
    return (
      <main className="empty" data-region="main" tabIndex={-1}>
        <h1>No such room</h1>
        <p className="quiet">It does not exist, or it is private and you were not invited.</p>
        <p className="actions">
          <a className="button primary" href={hrefOf({ page: "browse" })}>
            Browse rooms
          </a>
        </p>
      </main>
    );
  }
  return (
    <main className="empty" data-region="main" tabIndex={-1}>
      <h1>
        <bdi>{room.name}</bdi>
      </h1>
      {room.topic && (
        <p>
          <bdi>{room.topic}</bdi>
        </p>
      )}
      <p className="quiet">
        {countWords(room.memberCount, "member", "members")}.{" "}
        {room.history === "from_join"
          ? "You will see what is said after you join."
          : "You will see everything that was said here."}
      </p>
      {task?.words && (
        <p className="fault" role="alert">
          {task.words}
        </p>
      )}
      <p className="actions">
        <button
          type="button"
          className="button primary"
          disabled={task?.busy}
          onClick={() => dispatch(joinWanted({ room: id }))}
        >
          Join room
        </button>
      </p>
    </main>
  );
}
