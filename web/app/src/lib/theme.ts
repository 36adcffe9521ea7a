import { shared } from "../client";

/** Light or dark, or as the system has it. */
export type Theme = "system" | "light" | "dark";

/** `public/theme.js` reads the same name before anything is drawn. */
const NAME = "bobchat.theme";

/** What the person chose. */
export function chosenTheme(): Theme {
  const theme = shared.get(NAME);
  return theme === "light" || theme === "dark" ? theme : "system";
}

/** Shows the page in a theme, now and from now on. */
export function chooseTheme(theme: Theme): void {
  if (theme === "system") {
    shared.remove(NAME);
    delete document.documentElement.dataset.theme;
  } else {
    shared.set(NAME, theme);
    document.documentElement.dataset.theme = theme;
  }
}
