import { useState } from "react";
import { chooseTheme, chosenTheme, type Theme } from "../lib/theme";
import { signOutWanted } from "../state/intents";
import { Avatar } from "./Avatar";
import { Dialog } from "./Dialog";
import { useAppDispatch, useAppSelector } from "./hooks";

const THEMES: readonly (readonly [Theme, string])[] = [
  ["system", "As the system"],
  ["light", "Light"],
  ["dark", "Dark"],
];

/** Who one is here, how the page looks, and the way out. */
export function Profile() {
  const me = useAppSelector((state) => state.session.me);
  const [theme, setTheme] = useState(chosenTheme);
  const choose = (chosen: Theme) => {
    chooseTheme(chosen);
    setTheme(chosen);
  };
  return (
    <Dialog title="You">
      <div className="profile">
        <Avatar user={me ?? undefined} />
        <div>
          <strong>
            <bdi>{me?.name}</bdi>
          </strong>
          <div className="quiet meta">
            <bdi>@{me?.handle}</bdi> · guest
          </div>
        </div>
      </div>
      <fieldset className="choices across">
        <legend>Colours</legend>
        {THEMES.map(([value, words]) => (
          <label className="choice" key={value}>
            <input type="radio" name="theme" checked={theme === value} onChange={() => choose(value)} />
            <span>{words}</span>
          </label>
        ))}
      </fieldset>
      <SignOut />
    </Dialog>
  );
}

/** Asks once: a guest has no password to come back with. */
function SignOut() {
  const dispatch = useAppDispatch();
  const unsent = useAppSelector((state) => state.outbox.length);
  const [asked, setAsked] = useState(false);
  if (!asked) {
    return (
      <button type="button" className="button" onClick={() => setAsked(true)}>
        Sign out
      </button>
    );
  }
  return (
    <div className="confirm" role="alert">
      <p>
        You are a guest: after signing out there is no way back into this account.
        {unsent > 0 && " Messages that were not sent are deleted."}
      </p>
      <button type="button" className="button harm" autoFocus onClick={() => dispatch(signOutWanted())}>
        Sign out for good
      </button>
    </div>
  );
}
