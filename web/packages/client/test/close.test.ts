import { describe, expect, test } from "vitest";
import { backoffDelay } from "../src/backoff";
import { afterClose, type Ending } from "../src/close";

const most = () => 0.999_999;
const ending = (over: Partial<Ending>): Ending => ({ code: 1006, wasGood: true, attempt: 0, ...over });

describe("back-off", () => {
  test("is full jitter below a bound that doubles up to a cap", () => {
    const bounds = Array.from({ length: 9 }, (_, attempt) => backoffDelay(attempt, undefined, most));
    expect(bounds).toEqual([499, 999, 1999, 3999, 7999, 15999, 29999, 29999, 29999]);
    expect(backoffDelay(5, undefined, () => 0)).toBe(0);
    expect(backoffDelay(5_000, undefined, most)).toBeLessThan(30_000);
  });
});

describe("after the server closed", () => {
  test("4000 to 4099 come back at once, spread", () => {
    expect(afterClose(ending({ code: 4000, attempt: 7 }), most)).toMatchObject({ do: "return" });
    expect(
      (afterClose(ending({ code: 4008, attempt: 7 }), most) as { delay_ms: number }).delay_ms,
    ).toBeLessThan(500);
  });

  test("a server that closes every new connection is left to the back-off", () => {
    const next = afterClose(ending({ code: 4000, wasGood: false, attempt: 6 }), most);
    expect(next).toEqual({ do: "return", delay_ms: 29_999 });
  });

  test("4100 to 4199 wait for as long as the last error says", () => {
    const error = { code: "rate_limited", message: "", temporary: true, retry_after_ms: 7_000 };
    const next = afterClose(ending({ code: 4129, error }), () => 0);
    expect(next).toEqual({ do: "return", delay_ms: 7_000 });
  });

  test("a token that ended is refreshed once, then the back-off rules", () => {
    expect(afterClose(ending({ code: 4401 }))).toEqual({ do: "refresh" });
    expect(afterClose(ending({ code: 4401, wasGood: false, attempt: 1 }), most)).toMatchObject({
      do: "return",
    });
  });

  test("somebody signed out signs in, and a foreign protocol stops", () => {
    expect(afterClose(ending({ code: 4403 }))).toEqual({ do: "sign_in" });
    expect(afterClose(ending({ code: 4406 }))).toEqual({ do: "stop" });
    expect(afterClose(ending({ code: 4499 }))).toEqual({ do: "stop" });
  });

  test("anything else comes back by the back-off", () => {
    for (const code of [1000, 1001, 1006, 1011, 3000, 4200]) {
      expect(afterClose(ending({ code, attempt: 2 }), most)).toEqual({ do: "return", delay_ms: 1_999 });
    }
  });
});
