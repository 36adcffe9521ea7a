// A small protobuf codec driven by the generated tables: it holds the tables, and with them the types, to
// the golden vectors. The page itself speaks JSON.
import { ENUMS, FIELDS } from "../src/protocol";

type Json = string | number | boolean | Json[] | { [name: string]: Json };
type Message = { [name: string]: Json };

/** Writes a message in its JSON form as protobuf. */
export function encode(type: string, message: Message): number[] {
  const out: number[] = [];
  for (const name of Object.keys(message)) {
    if (!FIELDS[type]?.[name]) throw new Error(`${type} has no field ${name}`);
  }
  for (const [name, [number, kind, shape]] of Object.entries(FIELDS[type] ?? {})) {
    const value = message[name];
    if (value === undefined) continue;
    if (Array.isArray(value)) out.push(...encodeList(number, kind, value));
    else if (shape !== "plain" || !isDefault(kind, value)) out.push(...encodeField(number, kind, value));
  }
  return out;
}

function encodeList(number: number, kind: string, values: Json[]): number[] {
  if (kind !== "Id") return values.flatMap((value) => encodeField(number, kind, value));
  const packed = values.flatMap((value) => encodeValue(kind, value));
  return packed.length === 0
    ? []
    : [...varint(BigInt((number << 3) | 2)), ...varint(BigInt(packed.length)), ...packed];
}

function encodeField(number: number, kind: string, value: Json): number[] {
  const wireType = kind === "Id" ? 1 : isLength(kind) ? 2 : 0;
  const bytes = encodeValue(kind, value);
  const length = wireType === 2 ? varint(BigInt(bytes.length)) : [];
  return [...varint(BigInt((number << 3) | wireType)), ...length, ...bytes];
}

function encodeValue(kind: string, value: Json): number[] {
  if (FIELDS[kind]) return encode(kind, value as Message);
  if (ENUMS[kind]) return varint(BigInt(ENUMS[kind].indexOf(value as string)));
  switch (kind) {
    case "Id":
      return Array.from({ length: 8 }, (_, byte) =>
        Number((BigInt(value as string) >> BigInt(8 * byte)) & 0xffn),
      );
    case "Time":
      return varint(BigInt.asUintN(64, micros(value as string)));
    case "number":
      return varint(BigInt(value as number));
    case "boolean":
      return [value ? 1 : 0];
    default:
      return [...new TextEncoder().encode(value as string)];
  }
}

/** Reads protobuf into the JSON form. Plain fields that are not there have their default. */
export function decode(type: string, bytes: Uint8Array): Message {
  const message: Message = {};
  for (const [name, [, kind, shape]] of Object.entries(FIELDS[type] ?? {})) {
    if (shape === "list") message[name] = [];
    if (shape === "plain") message[name] = defaultOf(kind);
  }
  let at = 0;
  const readVarint = () => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++]!;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  const readId = () => {
    const id = new DataView(bytes.buffer, bytes.byteOffset + at, 8).getBigUint64(0, true);
    at += 8;
    return String(id);
  };
  while (at < bytes.length) {
    const tag = Number(readVarint());
    const [name, [, kind, shape]] = fieldOf(type, tag >> 3);
    if ((tag & 7) === 2) {
      const end = Number(readVarint()) + at;
      const inside = bytes.subarray(at, end);
      if (kind === "Id") {
        while (at < end) (message[name] as Json[]).push(readId());
        continue;
      }
      at = end;
      const value = FIELDS[kind]
        ? decode(kind, inside)
        : new TextDecoder("utf-8", { ignoreBOM: true }).decode(inside);
      if (shape === "list") (message[name] as Json[]).push(value);
      else message[name] = value;
    } else if ((tag & 7) === 1) message[name] = readId();
    else message[name] = fromVarint(kind, readVarint());
  }
  return message;
}

function fieldOf(type: string, number: number) {
  const found = Object.entries(FIELDS[type] ?? {}).find(([, field]) => field[0] === number);
  if (!found) throw new Error(`${type} has no field ${number}`);
  return found;
}

function fromVarint(kind: string, value: bigint): Json {
  if (ENUMS[kind]) return ENUMS[kind][Number(value)]!;
  if (kind === "boolean") return value === 1n;
  return kind === "Time" ? rfc3339(BigInt.asIntN(64, value)) : Number(value);
}

function varint(value: bigint): number[] {
  const out: number[] = [];
  let rest = value;
  for (; rest > 0x7fn; rest >>= 7n) out.push(Number(rest & 0x7fn) | 0x80);
  return [...out, Number(rest)];
}

const isLength = (kind: string) => kind === "string" || FIELDS[kind] !== undefined;

function defaultOf(kind: string): Json {
  if (ENUMS[kind]) return ENUMS[kind][0]!;
  const defaults: Record<string, Json> = {
    Id: "0",
    Time: rfc3339(0n),
    number: 0,
    boolean: false,
    string: "",
  };
  return defaults[kind]!;
}

const isDefault = (kind: string, value: Json) => value === defaultOf(kind);

function micros(time: string): bigint {
  const [, seconds, fraction = ""] = /^(.*?)(?:\.(\d+))?Z$/.exec(time)!;
  return BigInt(Date.parse(`${seconds}Z`)) * 1000n + BigInt(fraction.padEnd(6, "0"));
}

function rfc3339(value: bigint): string {
  const fraction = ((value % 1_000_000n) + 1_000_000n) % 1_000_000n;
  const seconds = new Date(Number((value - fraction) / 1000n)).toISOString().slice(0, 19);
  return `${seconds}.${String(fraction).padStart(6, "0")}Z`;
}
