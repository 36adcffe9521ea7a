import { LIMITS } from "@bobchat/client";
import { SendHorizontal } from "lucide-react";
import { type KeyboardEvent, useEffect, useLayoutEffect, useRef, useState } from "react";
import { useStore } from "react-redux";
import { drafted } from "../state/drafts";
import { sendWanted, typed } from "../state/intents";
import type { RoomEntry } from "../state/rooms";
import type { AppState } from "../state/store";
import { useAppDispatch, useMedia } from "./hooks";
import { IconButton } from "./IconButton";

const encoder = new TextEncoder();
/** Below this many bytes left, the number is shown. */
const NEAR_LIMIT = 1_000;

/** The box to write in. It takes text whatever the connection does. */
export function Composer({ room, onSent }: { room: RoomEntry; onSent: () => void }) {
  const dispatch = useAppDispatch();
  const store = useStore<AppState>();
  const [text, setText] = useState(() => store.getState().drafts[room.id] ?? "");
  const box = useRef<HTMLTextAreaElement>(null);
  const touch = useMedia("(pointer: coarse)");
  const left = LIMITS.message_bytes_max - bytesOf(text);
  const sendable = text.trim() !== "" && left >= 0;

  // A keyboard that covers half a phone is the person's decision.
  useEffect(() => {
    if (!touch) box.current?.focus();
  }, [touch]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the height follows the text.
  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return;
    element.style.height = "auto";
    element.style.height = `${element.scrollHeight}px`;
  }, [text]);

  const change = (next: string) => {
    setText(next);
    dispatch(drafted({ room: room.id, text: next }));
    if (next.trim() !== "") dispatch(typed({ room: room.id }));
  };
  const send = () => {
    if (!sendable) return;
    dispatch(sendWanted({ room: room.id, text: text.trim() }));
    setText("");
    dispatch(drafted({ room: room.id, text: "" }));
    onSent();
    box.current?.focus();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    // While an input method composes, Enter takes a word and sends nothing (229: Safari's way to say it).
    if (event.key !== "Enter" || event.shiftKey || event.nativeEvent.isComposing || event.keyCode === 229)
      return;
    if (touch) return;
    event.preventDefault();
    send();
  };
  return (
    <div className="composer-place">
      <form
        className="composer"
        onSubmit={(event) => {
          event.preventDefault();
          send();
        }}
      >
        <textarea
          id="composer"
          ref={box}
          rows={1}
          data-region="composer"
          value={text}
          placeholder={`Message ${room.name}`}
          aria-label={`Message ${room.name}`}
          aria-describedby={left < NEAR_LIMIT ? "composer-left" : undefined}
          enterKeyHint={touch ? "enter" : "send"}
          onChange={(event) => change(event.target.value)}
          onKeyDown={onKeyDown}
        />
        <IconButton
          icon={SendHorizontal}
          label="Send"
          keys="Enter"
          className="send"
          type="submit"
          disabled={!sendable}
        />
      </form>
      {left < NEAR_LIMIT && (
        <p id="composer-left" className={left < 0 ? "composer-left fault" : "composer-left quiet"}>
          {left < 0 ? "Too long for one message. Shorten it or send it in parts." : `${left} bytes left`}
        </p>
      )}
    </div>
  );
}

/** A text that is surely short is not encoded at every key: UTF-8 takes at most 3 bytes a code unit. */
function bytesOf(text: string): number {
  const most = text.length * 3;
  return most < LIMITS.message_bytes_max - NEAR_LIMIT ? most : encoder.encode(text).length;
}
