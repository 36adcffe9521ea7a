import { expect, test } from "vitest";
import { newKey } from "../src/key";

test("a key is a UUID of version 7 that sorts by time", () => {
  const [early, late] = [newKey(1_700_000_000_000), newKey(1_700_000_000_001)];
  expect(early).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  expect(Number.parseInt(early.replaceAll("-", "").slice(0, 12), 16)).toBe(1_700_000_000_000);
  expect(early < late).toBe(true);
  expect(new Set(Array.from({ length: 1000 }, () => newKey())).size).toBe(1000);
});
