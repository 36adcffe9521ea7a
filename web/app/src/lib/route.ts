import type { Route } from "../state/ui";

/** Reads the part of the address after `#`: `/rooms/42`, `/browse`, anything else is the list. */
export function parseRoute(hash: string): Route {
  const room = /^#\/rooms\/([1-9]\d{0,18})$/.exec(hash)?.[1];
  if (room) return { page: "room", room };
  return hash === "#/browse" ? { page: "browse" } : { page: "rooms" };
}

/** The address of a place, for links. */
export function hrefOf(route: Route): string {
  switch (route.page) {
    case "room":
      return `#/rooms/${route.room}`;
    case "browse":
      return "#/browse";
    case "rooms":
      return "#/";
  }
}

/** Goes to a place; `replace` leaves no step for the back button. */
export function navigate(route: Route, replace = false): void {
  const href = hrefOf(route);
  if (window.location.hash === href) return;
  if (replace) {
    window.history.replaceState(null, "", href);
    window.dispatchEvent(new HashChangeEvent("hashchange"));
  } else window.location.hash = href;
}
