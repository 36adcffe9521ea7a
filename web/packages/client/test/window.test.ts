import { describe, expect, test } from "vitest";
import {
  addPage,
  focusOn,
  hasHole,
  isLoaded,
  melt,
  openWindow,
  pageStretch,
  type RoomWindow,
  receive,
  receiveAll,
  type Stretch,
  shownStretch,
  showsLatest,
  trim,
} from "../src/window";
import { joined, message, messages } from "./events";

const stretch = (from: number, to: number): Stretch => ({
  from,
  to,
  messages: messages(Math.max(1, from), to),
});
const seqs = (window: RoomWindow) => shownStretch(window).messages.map(({ seq }) => seq);
const range = (from: number, to: number) => messages(from, to).map(({ seq }) => seq);
const page = (from: number, to: number, before: boolean, after: boolean) => ({
  messages: messages(from, to),
  users: [],
  has_more_before: before,
  has_more_after: after,
});

describe("live events", () => {
  test("extend the newest stretch in order", () => {
    const [window, outcomes] = receiveAll(openWindow({ epoch: 1, seq: 4 }), messages(5, 7));
    expect(outcomes).toEqual(["applied", "applied", "applied"]);
    expect(window.cursor).toEqual({ epoch: 1, seq: 7 });
    expect(seqs(window)).toEqual([5, 6, 7]);
  });

  test("that are no messages move the cursor and add no row", () => {
    const [window, outcome] = receive(openWindow({ epoch: 1, seq: 4 }), joined(5));
    expect([outcome, window.cursor.seq, seqs(window)]).toEqual(["applied", 5, []]);
  });

  test("that were seen before change nothing", () => {
    const [window] = receiveAll(openWindow({ epoch: 1, seq: 4 }), messages(5, 7));
    const [again, outcomes] = receiveAll(window, messages(3, 7));
    expect(new Set(outcomes)).toEqual(new Set(["duplicate"]));
    expect(again).toEqual(window);
  });

  test("beyond a hole are not shown, and the hole is known until it is filled", () => {
    const opened = openWindow({ epoch: 1, seq: 4 });
    const [torn, outcomes] = receiveAll(opened, [message(5), message(8), message(9)]);
    expect(outcomes).toEqual(["applied", "hole", "hole"]);
    expect([hasHole(torn), seqs(torn)]).toEqual([true, [5]]);
    const [whole] = receiveAll(torn, messages(6, 9));
    expect([hasHole(whole), seqs(whole)]).toEqual([false, [5, 6, 7, 8, 9]]);
  });

  test("of a newer epoch continue above the cursor and ask for a reset below it", () => {
    const opened = openWindow({ epoch: 1, seq: 4 });
    const [next, outcome] = receive(opened, message(5, { epoch: 2 }));
    expect([outcome, next.cursor]).toEqual(["applied", { epoch: 2, seq: 5 }]);
    expect(receive(opened, message(3, { epoch: 2 }))[1]).toBe("reset");
    expect(receive(next, message(6, { epoch: 1 }))[1]).toBe("duplicate");
  });

  test("taken at once or one by one give the same window", () => {
    const events = [message(5), joined(6), message(6), message(8), message(7), message(8), message(9)];
    const opened = addPage(openWindow({ epoch: 1, seq: 4 }), stretch(2, 4));
    const oneByOne = events.reduce((window, event) => receive(window, event)[0], opened);
    expect(receiveAll(opened, events)[0]).toEqual(oneByOne);
  });
});

describe("pages of history", () => {
  test("the newest page and live events melt together, whichever comes first", () => {
    const opened = openWindow({ epoch: 1, seq: 10 });
    const newest = pageStretch({}, page(4, 9, true, false), 10);
    const [pageLast] = receiveAll(opened, messages(11, 12));
    const [pageFirst] = receiveAll(addPage(opened, newest), messages(11, 12));
    expect(addPage(pageLast, newest)).toEqual(pageFirst);
    expect(seqs(pageFirst)).toEqual([...range(4, 9), 11, 12]);
  });

  test("a page that was overtaken by live events holds them once", () => {
    const [live] = receiveAll(openWindow({ epoch: 1, seq: 10 }), messages(11, 13));
    const window = addPage(live, pageStretch({}, page(5, 12, true, false), 10));
    expect(seqs(window)).toEqual(range(5, 13));
    expect(showsLatest(window)).toBe(true);
  });

  test("cover what the server said, also where no message stands", () => {
    expect(pageStretch({}, page(5, 8, true, false), 10)).toMatchObject({ from: 5, to: 10 });
    expect(pageStretch({}, page(1, 0, false, false), 3)).toMatchObject({ from: 0, to: 3, messages: [] });
    expect(pageStretch({ before: 50 }, page(30, 44, true, true), 99)).toMatchObject({ from: 30, to: 49 });
    expect(pageStretch({ before: 50 }, page(3, 44, false, true), 99)).toMatchObject({ from: 0, to: 49 });
    expect(pageStretch({ after: 50 }, page(53, 70, true, true), 99)).toMatchObject({ from: 51, to: 70 });
    expect(pageStretch({ after: 50 }, page(53, 70, true, false), 99)).toMatchObject({ from: 51, to: 99 });
    expect(pageStretch({ around: 50 }, page(40, 60, true, true), 99)).toMatchObject({ from: 40, to: 60 });
  });

  test("that touch nothing stand apart until what lies between comes", () => {
    const opened = addPage(openWindow({ epoch: 1, seq: 100 }), stretch(90, 100));
    const apart = focusOn(addPage(opened, stretch(20, 30)), 25);
    expect([seqs(apart), showsLatest(apart)]).toEqual([range(20, 30), false]);
    const whole = addPage(addPage(apart, stretch(31, 60)), stretch(61, 89));
    expect([seqs(whole), showsLatest(whole)]).toEqual([range(20, 100), true]);
  });

  test("in any order of coming give one whole stretch", () => {
    const parts = [stretch(0, 9), stretch(10, 25), stretch(20, 40), stretch(41, 41), stretch(30, 50)];
    for (let turn = 0; turn < parts.length; turn++) {
      const order = [...parts.slice(turn), ...parts.slice(0, turn)];
      for (const each of [order, [...order].reverse()]) {
        const melted = each.reduce<Stretch[]>(melt, []);
        expect(melted).toEqual([{ from: 0, to: 50, messages: messages(1, 50) }]);
      }
    }
  });

  test("an unread room is not an empty one", () => {
    const opened = openWindow({ epoch: 1, seq: 3 });
    expect(isLoaded(opened)).toBe(false);
    expect(isLoaded(addPage(opened, { from: 0, to: 3, messages: [] }))).toBe(true);
  });
});

describe("trimming", () => {
  const long = () => addPage(openWindow({ epoch: 1, seq: 1000 }), stretch(1, 1000));

  test("at the newest message lets the oldest go", () => {
    const window = trim(long(), null);
    expect(showsLatest(window)).toBe(true);
    expect(seqs(window)).toEqual(range(851, 1000));
  });

  test("far back keeps what is around the reader, and the newest messages apart", () => {
    const window = trim(long(), 300);
    expect(seqs(window)).toEqual(range(150, 449));
    expect(showsLatest(window)).toBe(false);
    expect(window.stretches.at(-1)).toMatchObject({ from: 941, to: 1000 });
  });

  test("loses nothing: the pages between bring the whole back", () => {
    const window = addPage(trim(long(), 300), stretch(450, 940));
    expect(seqs(window)).toEqual(range(150, 1000));
  });

  test("leaves a short window alone, and live events go on after a cut", () => {
    const short = addPage(openWindow({ epoch: 1, seq: 50 }), stretch(1, 50));
    expect(trim(short, null)).toBe(short);
    const [window] = receiveAll(trim(long(), 300), messages(1001, 1003));
    expect(window.stretches.at(-1)?.messages.at(-1)?.seq).toBe(1003);
    expect(seqs(window)).toEqual(range(150, 449));
  });
});
