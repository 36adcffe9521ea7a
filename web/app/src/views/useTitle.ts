import { useEffect } from "react";
import { badgeWords } from "../lib/words";
import { selectOpenRoom, selectUnreadTotal } from "../state/selectors";
import { useAppSelector } from "./hooks";

/** Keeps the tab's title: what waits, then where one is. */
export function useTitle(): void {
  const unread = useAppSelector(selectUnreadTotal);
  const room = useAppSelector((state) => selectOpenRoom(state)?.name);
  useEffect(() => {
    const place = room ? `${room} · Bobchat` : "Bobchat";
    document.title = unread > 0 ? `(${badgeWords(unread)}) ${place}` : place;
  }, [unread, room]);
}
