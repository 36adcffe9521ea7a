const time = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const dateTime = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });
const weekday = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const fullDate = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "long", year: "numeric" });
const number = new Intl.NumberFormat();
const list = new Intl.ListFormat(undefined, { style: "long", type: "conjunction" });

/** The time of a day: 14:05. */
export const timeWords = (at: number) => time.format(at);

/** A moment in full, for whoever points at a time. */
export const momentWords = (at: number) => dateTime.format(at);

/** A day, as a person would say it. */
export function dayWords(at: number, now: number = Date.now()): string {
  const days = Math.round((startOfDay(now) - startOfDay(at)) / 86_400_000);
  if (days === 0) return "Today";
  if (days === 1) return "Yesterday";
  return days < 300 ? weekday.format(at) : fullDate.format(at);
}

function startOfDay(at: number): number {
  return new Date(at).setHours(0, 0, 0, 0);
}

/** A count with its noun: 1 member, 2 members. */
export const countWords = (count: number, one: string, many: string) =>
  `${number.format(count)} ${count === 1 ? one : many}`;

/** A count on a badge: exact up to 99. */
export const badgeWords = (count: number) => (count > 99 ? "99+" : number.format(count));

/** Who is typing, in one line. */
export function typingWords(names: string[]): string {
  if (names.length === 0) return "";
  const shown =
    names.length > 3 ? [...names.slice(0, 2), countWords(names.length - 2, "other", "others")] : names;
  return `${list.format(shown)} ${names.length === 1 ? "is" : "are"} typing`;
}
