import { LIMITS } from "@bobchat/client";
import { type FormEvent, useState } from "react";
import { createWanted } from "../state/intents";
import { Dialog } from "./Dialog";
import { useAppDispatch, useAppSelector } from "./hooks";

/** Makes a room. */
export function CreateRoom() {
  const dispatch = useAppDispatch();
  const task = useAppSelector((state) => state.tasks.create);
  const [name, setName] = useState("");
  const [topic, setTopic] = useState("");
  const [kind, setKind] = useState<"public" | "private">("public");
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (name.trim() !== "" && !task?.busy)
      dispatch(createWanted({ name: name.trim(), topic: topic.trim(), kind }));
  };
  return (
    <Dialog title="New room">
      <form className="form" onSubmit={submit}>
        <label htmlFor="room-name">Name</label>
        <input
          id="room-name"
          className="field"
          value={name}
          onChange={(event) => setName(event.target.value)}
          maxLength={LIMITS.room_name_chars_max}
          autoComplete="off"
          autoFocus
          required
        />
        <label htmlFor="room-topic">
          Topic <span className="quiet">(optional)</span>
        </label>
        <input
          id="room-topic"
          className="field"
          value={topic}
          onChange={(event) => setTopic(event.target.value)}
          maxLength={LIMITS.room_topic_chars_max}
          autoComplete="off"
        />
        <fieldset className="choices">
          <legend>Who can find it</legend>
          <Choice
            value="public"
            chosen={kind}
            choose={setKind}
            words="Everybody. Anyone can find and join it."
          />
          <Choice value="private" chosen={kind} choose={setKind} words="Only members. A member invites." />
        </fieldset>
        {task?.words && (
          <p className="fault" role="alert">
            {task.words}
          </p>
        )}
        <button type="submit" className="button primary" disabled={name.trim() === "" || task?.busy}>
          Make room
        </button>
      </form>
    </Dialog>
  );
}

interface ChoiceProps {
  value: "public" | "private";
  chosen: string;
  choose: (value: "public" | "private") => void;
  words: string;
}

function Choice({ value, chosen, choose, words }: ChoiceProps) {
  return (
    <label className="choice">
      <input type="radio" name="kind" checked={chosen === value} onChange={() => choose(value)} />
      <span>{words}</span>
    </label>
  );
}
