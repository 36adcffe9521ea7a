import { describe, expect, test, vi } from "vitest";
import { NoAnswerError, RequestError, SignedOutError } from "../src/errors";
import { tabLocks } from "../src/locks";
import type { TokenGrant } from "../src/protocol";
import type { Rest } from "../src/rest";
import { memoryTokenStore } from "../src/token_store";
import { localEnd, Tokens } from "../src/tokens";

const base64 = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
const jwt = (life_s: number, number: number) => `h.${base64({ iat: 1000, exp: 1000 + life_s, number })}.s`;

/** A server that rotates refresh tokens and takes each one once. */
class FakeRest implements Rest {
  refreshes = 0;
  reused = 0;
  fault: Error | null = null;
  #newest = 0;
  #life_s: number;

  constructor(life_s = 900) {
    this.#life_s = life_s;
  }

  createGuest = async () => this.#grant();
  endSession = async () => {};

  refresh = async (token: string): Promise<TokenGrant> => {
    if (this.fault) throw this.fault;
    if (token !== `refresh ${this.#newest}`) this.reused += 1;
    this.refreshes += 1;
    await new Promise((resolve) => setTimeout(resolve, 5));
    return this.#grant();
  };

  #grant(): TokenGrant {
    this.#newest += 1;
    return {
      user: { id: "7", handle: "ada", name: "Ada" },
      access_token: jwt(this.#life_s, this.#newest),
      access_expires_at: "2026-01-01T00:00:00.000000Z",
      refresh_token: `refresh ${this.#newest}`,
    };
  }
}

describe("access tokens", () => {
  test("are used until they are about to end", async () => {
    const rest = new FakeRest();
    const tokens = await Tokens.open(memoryTokenStore(), tabLocks(), rest);
    await tokens.signIn("Ada");
    await tokens.access(30_000);
    expect(rest.refreshes).toBe(0);
    await tokens.access(1_000_000);
    expect(rest.refreshes).toBe(1);
  });

  test("are exchanged once, however many tabs want one", async () => {
    const rest = new FakeRest();
    const [store, locks] = [memoryTokenStore(), tabLocks()];
    await (await Tokens.open(store, locks, rest)).signIn("Ada");
    const tabs = await Promise.all([1, 2, 3].map(() => Tokens.open(store, locks, rest)));
    const refused = await tabs[0]!.access(0);
    const got = await Promise.all(tabs.map((tab) => tab.access(0, refused)));
    expect(new Set(got).size).toBe(1);
    expect([rest.refreshes, rest.reused]).toEqual([1, 0]);
  });

  test("that cannot be exchanged any more sign out, and everybody hears it", async () => {
    const rest = new FakeRest();
    const tokens = await Tokens.open(memoryTokenStore(), tabLocks(), rest);
    await tokens.signIn("Ada");
    const heard = vi.fn();
    tokens.changed.listen(heard);
    rest.fault = new RequestError({ code: "unauthenticated", message: "reused", temporary: false });
    await expect(tokens.access(1_000_000)).rejects.toThrow(SignedOutError);
    expect(heard).toHaveBeenCalledWith(null);
    expect(tokens.user()).toBeNull();
  });

  test("are asked for again at once when the answer was lost", async () => {
    const rest = new FakeRest();
    const tokens = await Tokens.open(memoryTokenStore(), tabLocks(), rest);
    await tokens.signIn("Ada");
    const { refresh } = rest;
    let lost = 0;
    rest.refresh = async (token) => {
      if (lost++ < 2) throw new NoAnswerError("lost");
      return refresh(token);
    };
    await tokens.access(1_000_000);
    expect([lost, rest.refreshes, rest.reused]).toEqual([3, 1, 0]);
  });

  test("outlive a server that does not answer", async () => {
    const rest = new FakeRest();
    const tokens = await Tokens.open(memoryTokenStore(), tabLocks(), rest);
    await tokens.signIn("Ada");
    rest.fault = new NoAnswerError("down");
    await expect(tokens.access(1_000_000)).rejects.toThrow(NoAnswerError);
    expect(tokens.user()?.name).toBe("Ada");
  });

  test("end by their own lifetime, whatever this browser's clock says", () => {
    const grant = {
      access_token: jwt(900, 1),
      access_expires_at: "1999-01-01T00:00:00.000000Z",
      refresh_token: "",
    };
    expect(localEnd(grant, 5_000)).toBe(905_000);
    expect(localEnd({ ...grant, access_token: "opaque" }, 5_000)).toBe(Date.parse("1999-01-01T00:00:00Z"));
  });
});
