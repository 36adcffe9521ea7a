import type { wire } from "@bobchat/client";
import type { CSSProperties } from "react";
import { hueOf, initialOf } from "../lib/colour";

/** The style that gives a person's colour to what is inside. */
export function personStyle(user: wire.User | undefined): CSSProperties {
  return { "--hue": user ? hueOf(user.handle) : 220 } as CSSProperties;
}

/** A person's letter on their colour; says nothing to a screen reader, their name stands beside it. */
export function Avatar({ user, size = 36 }: { user: wire.User | undefined; size?: 24 | 28 | 36 }) {
  return (
    <span className={`avatar of-${size}`} style={personStyle(user)} aria-hidden="true">
      {user ? initialOf(user.name) : ""}
    </span>
  );
}
