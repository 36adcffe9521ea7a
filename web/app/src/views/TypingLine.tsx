import type { wire } from "@bobchat/client";
import { typingWords } from "../lib/words";
import { selectTyping } from "../state/selectors";
import { useAppSelector } from "./hooks";

/** Who is typing. Its line is always there, so that nothing moves when somebody begins. */
export function TypingLine({ room }: { room: wire.Id }) {
  const names = useAppSelector((state) => selectTyping(state, room));
  return (
    <div className="typing-line quiet meta" aria-live="off">
      {names.length > 0 && (
        <>
          <span className="dots" aria-hidden="true">
            <i />
            <i />
            <i />
          </span>
          <bdi>{typingWords(names)}</bdi>
        </>
      )}
    </div>
  );
}
