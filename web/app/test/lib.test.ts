import { describe, expect, test } from "vitest";
import { message, messages } from "../../packages/client/test/events";
import { hueOf, initialOf } from "../src/lib/colour";
import { matchRooms } from "../src/lib/match";
import { rowsOf } from "../src/lib/rows";
import { piecesOf } from "../src/lib/text";
import { dayWords, typingWords } from "../src/lib/words";

describe("rows", () => {
  const kinds = (rows: ReturnType<typeof rowsOf>) =>
    rows.map((row) => (row.kind === "message" ? `${row.key}${row.first ? "*" : ""}` : row.kind));

  test("group what one person wrote within minutes, under the day", () => {
    const events = [message(1), message(2), message(3, { author: "8" }), message(4)];
    expect(kinds(rowsOf(events, [], "9", null))).toEqual(["day", "s1*", "s2", "s3*", "s4*"]);
    const later = [message(1), message(2, { at: "2023-11-14T22:40:00.000000Z" })];
    expect(kinds(rowsOf(later, [], "9", null)).slice(-1)).toEqual(["s2*"]);
  });

  test("mark what is new once, and never one's own words", () => {
    const events = [...messages(1, 2), message(3, { author: "9" }), message(4), message(5)];
    expect(kinds(rowsOf(events, [], "9", 2))).toEqual(["day", "s1*", "s2", "s3*", "new", "s4*", "s5"]);
    expect(kinds(rowsOf(events, [], "9", 5))).not.toContain("new");
  });

  test("keep one element for a message on its way and in the log, and never show both", () => {
    const entry = {
      key: "k",
      author: "9",
      room: "1",
      text: "hi",
      written_at: Date.now(),
      state: "sending" as const,
    };
    const before = rowsOf([], [entry], "9", null);
    const after = rowsOf([message(1, { author: "9", key: "k" })], [entry], "9", null);
    expect([before.at(-1)?.key, after.at(-1)?.key]).toEqual(["k", "k"]);
    expect(after.filter((row) => row.kind === "message").length).toBe(1);
  });
});

describe("text", () => {
  test("finds addresses and leaves the sentence its marks", () => {
    expect(piecesOf("see https://a.example/b_(c), or (http://d.example).")).toEqual([
      { kind: "text", text: "see " },
      { kind: "link", text: "https://a.example/b_(c)", href: "https://a.example/b_(c)" },
      { kind: "text", text: ", or (" },
      { kind: "link", text: "http://d.example", href: "http://d.example" },
      { kind: "text", text: ")." },
    ]);
  });

  test("links nothing but http", () => {
    const text = "javascript:alert(1) data:text/html,x ftp://a <a href=https://x.example>";
    const links = piecesOf(text).filter((piece) => piece.kind === "link");
    expect(links).toEqual([{ kind: "link", text: "https://x.example", href: "https://x.example" }]);
  });

  test("keeps code as it was typed, and every character of the rest", () => {
    expect(piecesOf("run `make *`:\n```sh\nmake  run\n```\nthen wait")).toEqual([
      { kind: "text", text: "run " },
      { kind: "code", text: "make *" },
      { kind: "text", text: ":" },
      { kind: "block", text: "make  run" },
      { kind: "text", text: "then wait" },
    ]);
    expect(piecesOf("a ` b\nc ``")).toEqual([{ kind: "text", text: "a ` b\nc ``" }]);
  });
});

describe("words", () => {
  test("name days as people do", () => {
    const now = new Date(2026, 2, 5, 0, 30).getTime();
    expect(dayWords(new Date(2026, 2, 5, 0, 1).getTime(), now)).toBe("Today");
    expect(dayWords(new Date(2026, 2, 4, 23, 59).getTime(), now)).toBe("Yesterday");
    expect(dayWords(new Date(2026, 2, 3, 12).getTime(), now)).toMatch(/Tuesday/);
  });

  test("name up to three who type, and count the rest", () => {
    expect(typingWords([])).toBe("");
    expect(typingWords(["Ada"])).toBe("Ada is typing");
    expect(typingWords(["Ada", "Bob"])).toBe("Ada and Bob are typing");
    expect(typingWords(["Ada", "Bob", "Cy", "Dee"])).toBe("Ada, Bob, and 2 others are typing");
  });

  test("take the first grapheme of a name", () => {
    expect(["ada", "👩‍🚀 Sally", "  éa", ""].map(initialOf)).toEqual(["A", "👩‍🚀", "É", "?"]);
    expect(hueOf("ada")).toBe(hueOf("ada"));
  });
});

describe("the switcher", () => {
  const room = (name: string, unread = 0) => ({ room: { name }, unread });
  const names = (query: string, ...rooms: ReturnType<typeof room>[]) =>
    matchRooms(rooms, query).map((item) => item.room.name);

  test("puts beginnings before words before letters, and unread first among equals", () => {
    expect(names("ga", room("big game"), room("pizza gap"), room("garden"), room("saga"))).toEqual([
      "garden",
      "big game",
      "pizza gap",
      "saga",
    ]);
    expect(names("", room("a"), room("b", 2), room("c"))).toEqual(["b", "a", "c"]);
    expect(names("gdn", room("garden"), room("other"))).toEqual(["garden"]);
  });
});
