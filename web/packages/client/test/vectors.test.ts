import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { decode, encode } from "./protobuf";

interface Vector {
  name: string;
  json: Record<string, never>;
  protobuf: string;
}

/** The same vectors that the Rust codec and the load harness are held to. */
function vectors(file: string): Vector[] {
  const url = new URL(`../../../../proto/vectors/${file}.json`, import.meta.url);
  return JSON.parse(readFileSync(url, "utf8"));
}

describe.each([
  ["client", "ClientFrame"],
  ["server", "ServerFrame"],
])("golden vectors of the %s", (file, type) => {
  test.each(vectors(file))("$name", ({ json, protobuf }) => {
    expect(Buffer.from(encode(type, json)).toString("hex")).toBe(protobuf);
    expect(decode(type, Buffer.from(protobuf, "hex"))).toEqual(json);
  });
});
