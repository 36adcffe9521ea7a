import type { OutboxEntry } from "@bobchat/client";
import { Check, Clock, TriangleAlert } from "lucide-react";
import { memo } from "react";
import { isSameRow, type MessageRow } from "../lib/rows";
import { momentWords, timeWords } from "../lib/words";
import { removeWanted, resendWanted } from "../state/intents";
import { Avatar, personStyle } from "./Avatar";
import { useAppDispatch, useAppSelector } from "./hooks";
import { MessageText } from "./MessageText";

interface Props {
  row: MessageRow;
  /** Whether the row shows that it was sent: the newest of one's own does. */
  showsSent: boolean;
}

/** One message. The first of a group carries name, picture and time; the others show their time on demand. */
export const Message = memo(MessageView, (before, after) => {
  return before.showsSent === after.showsSent && isSameRow(before.row, after.row);
});

function MessageView({ row, showsSent }: Props) {
  const user = useAppSelector((state) => state.people[row.author]);
  const name = user?.name ?? "Somebody";
  const time = timeWords(row.at);
  const failed = row.entry?.state === "failed";
  return (
    <article
      className={`message${row.first ? " first" : ""}${row.entry ? ` ${row.entry.state}` : ""}`}
      data-row={row.key}
      data-seq={row.seq ?? undefined}
      aria-label={`${name}, ${time}`}
      style={personStyle(user)}
    >
      <div className="message-side">
        {row.first ? <Avatar user={user} /> : <Time at={row.at} words={time} />}
      </div>
      <div className="message-body">
        {row.first && (
          <div className="message-head">
            <bdi className="message-author">{name}</bdi>
            <Time at={row.at} words={time} />
          </div>
        )}
        <MessageText text={row.text} />
        {failed && row.entry && <Failed entry={row.entry} />}
      </div>
      <State row={row} showsSent={showsSent} />
    </article>
  );
}

function Time({ at, words }: { at: number; words: string }) {
  return (
    <time className="message-time figures" dateTime={new Date(at).toISOString()} title={momentWords(at)}>
      {words}
    </time>
  );
}

/** How one's own message stands; never by colour alone. */
function State({ row, showsSent }: Props) {
  if (!row.own || row.entry?.state === "failed") return null;
  const onItsWay = row.entry?.state === "waiting" || row.entry?.state === "sending";
  const Icon = onItsWay ? Clock : Check;
  const words = onItsWay ? "Sending" : "Sent";
  return (
    <span className={`message-state ${onItsWay ? "on-its-way" : showsSent ? "shown" : ""}`} title={words}>
      <Icon size={14} strokeWidth={2} aria-hidden="true" />
      <span className="unseen">{words}</span>
    </span>
  );
}

function Failed({ entry }: { entry: OutboxEntry }) {
  const dispatch = useAppDispatch();
  return (
    <div className="message-failed" role="alert">
      <TriangleAlert size={14} strokeWidth={2} aria-hidden="true" />
      <span>Not sent. {entry.words}</span>
      <span className="message-choices">
        {!entry.final && (
          <button type="button" className="link" onClick={() => dispatch(resendWanted({ key: entry.key }))}>
            Retry
          </button>
        )}
        <button type="button" className="link" onClick={() => dispatch(removeWanted({ key: entry.key }))}>
          Delete
        </button>
      </span>
    </div>
  );
}
