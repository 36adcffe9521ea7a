import type { wire } from "@bobchat/client";
import { useEffect, useRef, useState } from "react";
import { useAppSelector } from "./hooks";

/** Speaks the newest message of somebody else as it arrives; pages of history stay silent. */
export function Announcer({ room }: { room: wire.Id }) {
  const newest = useAppSelector((state) => state.windows[room]?.window.stretches.at(-1)?.messages.at(-1));
  const head = useAppSelector((state) => state.windows[room]?.window.cursor.seq ?? 0);
  const name = useAppSelector((state) => (newest ? state.people[newest.author]?.name : undefined));
  const me = useAppSelector((state) => state.session.me?.id);
  const [opened] = useState(head);
  const spoken = useRef(0);
  const [words, setWords] = useState("");
  useEffect(() => {
    if (!newest || newest.seq <= Math.max(opened, spoken.current) || newest.author === me) return;
    spoken.current = newest.seq;
    setWords(`${name ?? "Somebody"}: ${newest.message?.text ?? ""}`);
  }, [newest, opened, me, name]);
  return (
    <div className="unseen" aria-live="polite">
      {words}
    </div>
  );
}
