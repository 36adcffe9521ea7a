import { readJson, type wire, writeJson } from "@bobchat/client";
import { ofTab } from "../client";

/** Where a reader was in a room. */
export interface Place {
  /** The first row on the screen. */
  seq: number;
  /** How far its top was from the top of the screen, in pixels. */
  offset: number;
  /** Whether the newest message was on the screen: then that is the place. */
  atLatest: boolean;
}

const NAME = "bobchat.places";
const places = new Map<wire.Id, Place>(Object.entries(readJson<Record<wire.Id, Place>>(ofTab, NAME) ?? {}));
let timer: ReturnType<typeof setTimeout> | undefined;

/** Where the reader of this tab was in a room; survives a reload. */
export function placeIn(room: wire.Id): Place | undefined {
  return places.get(room);
}

/** The seq that the reader looks at; `null` at the newest message. */
export function anchorIn(room: wire.Id): number | null {
  const place = places.get(room);
  return place && !place.atLatest ? place.seq : null;
}

/** Notes where the reader is; cheap enough for every scroll event. */
export function notePlace(room: wire.Id, place: Place): void {
  places.set(room, place);
  timer ??= setTimeout(save, 200);
}

/** Forgets all places: somebody signed out. */
export function forgetPlaces(): void {
  places.clear();
  save();
}

function save(): void {
  clearTimeout(timer);
  timer = undefined;
  writeJson(ofTab, NAME, Object.fromEntries(places));
}

window.addEventListener("pagehide", save);
