/** Something with a room's name, and how much of it is new. */
interface Candidate {
  room: { name: string };
  unread: number;
}

/**
 * Rooms whose name has the letters of the query in their order: names that begin with it first, then words
 * that do, then the rest; what is unread before what is read. Keeps the given order among equals.
 */
export function matchRooms<T extends Candidate>(rooms: readonly T[], query: string): T[] {
  const wanted = query.trim().toLocaleLowerCase();
  return rooms
    .map((item, index) => ({ item, index, rank: rankOf(item.room.name.toLocaleLowerCase(), wanted) }))
    .filter(({ rank }) => rank < Number.POSITIVE_INFINITY)
    .sort(
      (a, b) => a.rank - b.rank || Number(b.item.unread > 0) - Number(a.item.unread > 0) || a.index - b.index,
    )
    .map(({ item }) => item);
}

function rankOf(name: string, wanted: string): number {
  if (wanted === "" || name.startsWith(wanted)) return 0;
  const at = name.indexOf(wanted);
  if (at > 0) return /[\p{L}\p{N}]/u.test(name.charAt(at - 1)) ? 2 : 1;
  let from = 0;
  for (const letter of wanted) {
    from = name.indexOf(letter, from) + 1;
    if (from === 0) return Number.POSITIVE_INFINITY;
  }
  return 3;
}
