import { afterEach, describe, expect, test, vi } from "vitest";
import { NoAnswerError, RequestError } from "../src/errors";
import { createRest } from "../src/rest";

const rest = createRest("http://test");
const answer = (status: number, body: unknown) =>
  vi.stubGlobal(
    "fetch",
    async () => new Response(typeof body === "string" ? body : JSON.stringify(body), { status }),
  );

afterEach(() => {
  vi.unstubAllGlobals();
});

describe("the calls about tokens", () => {
  test("give the server's own error on", async () => {
    answer(401, { code: "unauthenticated", message: "reused", temporary: false });
    const refused = await rest.refresh("r").catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(RequestError);
    expect((refused as RequestError).wire).toMatchObject({ code: "unauthenticated", temporary: false });
  });

  test("take what a proxy says for a fault that passes", async () => {
    for (const [status, body] of [
      [404, "<h1>Not found</h1>"],
      [502, "Bad gateway"],
      [403, { blocked: true }],
    ] as const) {
      answer(status, body);
      const error = (await rest.refresh("r").catch((fault: unknown) => fault)) as RequestError;
      expect(error.wire.temporary).toBe(true);
    }
    answer(200, "<html>sign in to the wireless network</html>");
    await expect(rest.refresh("r")).rejects.toThrow(NoAnswerError);
  });

  test("say when there is no answer at all", async () => {
    vi.stubGlobal("fetch", async () => {
      throw new TypeError("failed to fetch");
    });
    await expect(rest.createGuest("Ada")).rejects.toThrow(NoAnswerError);
  });
});
