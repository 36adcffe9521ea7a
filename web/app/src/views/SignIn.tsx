import { LIMITS } from "@bobchat/client";
import { type FormEvent, useState } from "react";
import { signInWanted } from "../state/intents";
import { useAppDispatch, useAppSelector } from "./hooks";
import { Mark } from "./Mark";

/** The first screen: one field, one button. */
export function SignIn() {
  const dispatch = useAppDispatch();
  const words = useAppSelector((state) => state.session.words);
  const task = useAppSelector((state) => state.tasks.signIn);
  const [name, setName] = useState("");
  const chosen = name.trim();

  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (chosen !== "" && !task?.busy) dispatch(signInWanted({ name: chosen }));
  };

  return (
    <main className="sign-in">
      <form className="sign-in-form" onSubmit={submit}>
        <Mark size={44} />
        <h1>Bobchat</h1>
        <p className="quiet">{words ?? "Rooms to talk in. Choose the name that others will see."}</p>
        <label htmlFor="name">Your name</label>
        <input
          id="name"
          className="field large"
          value={name}
          onChange={(event) => setName(event.target.value)}
          maxLength={LIMITS.user_name_chars_max}
          autoComplete="nickname"
          autoFocus
          required
          aria-describedby={task?.words ? "name-fault" : undefined}
        />
        {task?.words && (
          <p id="name-fault" className="fault" role="alert">
            {task.words}
          </p>
        )}
        <button type="submit" className="button primary large" disabled={task?.busy}>
          {task?.busy ? "One moment" : "Start chatting"}
        </button>
      </form>
    </main>
  );
}
