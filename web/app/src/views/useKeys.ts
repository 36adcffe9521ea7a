import { useEffect } from "react";
import { useStore } from "react-redux";
import { navigate } from "../lib/route";
import { selectRooms, unreadOf } from "../state/selectors";
import type { AppState } from "../state/store";
import { detailsToggled, dialogOpened } from "../state/ui";
import { useAppDispatch } from "./hooks";

/** The keys that work everywhere; `Help` lists them. */
export function useKeys(): void {
  const dispatch = useAppDispatch();
  const store = useStore<AppState>();
  useEffect(() => {
    const listener = (event: KeyboardEvent) => {
      const state = store.getState();
      if (event.isComposing || state.ui.dialog !== null) return;
      const handled = handle(event, state, dispatch);
      if (handled) event.preventDefault();
    };
    window.addEventListener("keydown", listener);
    return () => window.removeEventListener("keydown", listener);
  }, [dispatch, store]);
}

function handle(event: KeyboardEvent, state: AppState, dispatch: ReturnType<typeof useAppDispatch>): boolean {
  const command = event.ctrlKey || event.metaKey;
  if (command && event.key.toLowerCase() === "k") dispatch(dialogOpened("switcher"));
  else if (command && event.key === "/") dispatch(dialogOpened("help"));
  else if (event.altKey && (event.key === "ArrowUp" || event.key === "ArrowDown")) {
    toNeighbour(state, event.key === "ArrowUp" ? -1 : 1, event.shiftKey);
  } else if (event.key === "F6") toNextRegion(event.shiftKey);
  else if (event.key === "Escape" && state.ui.details) {
    dispatch(detailsToggled(false));
    document.getElementById("composer")?.focus();
  } else if (event.key === "?" && !isTyping(event.target)) dispatch(dialogOpened("help"));
  else return false;
  return true;
}

/** Single letters belong to the text while somebody writes. */
function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.matches("input, textarea, select, [contenteditable]");
}

function toNeighbour(state: AppState, step: 1 | -1, unreadOnly: boolean): void {
  const all = selectRooms(state);
  const open = state.ui.route.page === "room" ? state.ui.route.room : null;
  const rooms = unreadOnly ? all.filter((room) => room.id === open || unreadOf(room, state) > 0) : all;
  const at = rooms.findIndex(({ id }) => id === open);
  const room = rooms[(at + step + rooms.length) % rooms.length];
  if (room) navigate({ page: "room", room: room.id });
}

function toNextRegion(backwards: boolean): void {
  const regions = [...document.querySelectorAll<HTMLElement>("[data-region]")];
  const at = regions.findIndex((region) => region.contains(document.activeElement));
  const step = backwards ? -1 : 1;
  regions[(at + step + regions.length) % regions.length]?.focus();
}
