// Runs the examples as their readers would, against a server with a data folder and ports of its own.
// `make test` says where the server (BOBCHAT_BIN) and a Python with the packages (PYTHON) are.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { generateKeyPairSync, randomUUID } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";

const examples = import.meta.dirname;
const folder = mkdtempSync(join(tmpdir(), "bobchat-examples-"));
const keyFile = join(folder, "key.pem");
const children = [];
let server;

before(async () => {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519", {
    publicKeyEncoding: { type: "spki", format: "pem" },
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
  });
  writeFileSync(keyFile, privateKey);
  writeFileSync(join(folder, "public.pem"), publicKey);
  const [port, admin] = [await freePort(), await freePort()];
  server = `http://127.0.0.1:${port}`;
  const issuer = 'issuer = "https://example.com"\naudience = "bobchat"\nkey_file = "public.pem"\n';
  const listen = `listen = "127.0.0.1:${port}"\nadmin_listen = "127.0.0.1:${admin}"\n`;
  writeFileSync(join(folder, "config.toml"), `[server]\n${listen}\n[[auth.external]]\n${issuer}`);
  start(process.env.BOBCHAT_BIN, []);
  await until("the server is ready", async () => (await fetch(`http://127.0.0.1:${admin}/readyz`)).ok);
});

after(async () => {
  await Promise.all(children.map(stop));
  rmSync(folder, { recursive: true });
});

test("a token signed in Node is accepted", async () => {
  const token = run(process.execPath, "sign-token/sign.mjs", keyFile, "user-1", "Ada Lovelace");
  assert.equal((await get("/api/v1/me", token)).name, "Ada Lovelace");
});

test("a token signed in Python is accepted", async () => {
  const token = run(process.env.PYTHON, "sign-token/sign.py", keyFile, "user-2", "Grace Hopper");
  assert.equal((await get("/api/v1/me", token)).name, "Grace Hopper");
});

test("both name the same user by the same subject", async () => {
  const tokens = [
    run(process.execPath, "sign-token/sign.mjs", keyFile, "user-3"),
    run(process.env.PYTHON, "sign-token/sign.py", keyFile, "user-3"),
  ];
  const [one, other] = await Promise.all(tokens.map((token) => get("/api/v1/me", token)));
  assert.equal(one.id, other.id);
});

test("a token signed with another key is refused", async () => {
  const stranger = join(folder, "stranger.pem");
  const { privateKey } = generateKeyPairSync("ed25519");
  writeFileSync(stranger, privateKey.export({ type: "pkcs8", format: "pem" }));
  const token = run(process.execPath, "sign-token/sign.mjs", stranger, "user-1");
  const answer = await fetch(`${server}/api/v1/me`, { headers: { authorization: `Bearer ${token}` } });
  assert.equal(answer.status, 401);
  assert.equal((await answer.json()).code, "unauthenticated");
});

test("the bot answers each message once", async () => {
  const { access_token: token } = await post("/api/v1/guests", { name: "Somebody" });
  const { room } = await post("/api/v1/rooms", { name: "echoes" }, token);
  const bot = start(process.execPath, ["--experimental-websocket", join(examples, "bot/bot.mjs"), room.id]);
  await until("the bot listens", () => bot.output.includes(`listening in room ${room.id}`));

  await post(`/api/v1/rooms/${room.id}/messages`, { text: "!echo first" }, token);
  await post(`/api/v1/rooms/${room.id}/messages`, { text: "!echo second" }, token);
  const texts = async () => {
    const { messages } = await get(`/api/v1/rooms/${room.id}/messages`, token);
    return messages.map((event) => event.message.text).filter((text) => !text.startsWith("!echo"));
  };
  await until("the bot has answered", async () => (await texts()).length >= 2);
  assert.deepEqual((await texts()).sort(), ["first", "second"]);
});

test("the conversation of docs/protocol.md goes as it stands there", async () => {
  const page = readFileSync(join(examples, "../docs/protocol.md"), "utf8");
  const conversation = page.split("## A conversation")[1].match(/```text\n(.*?)```/s)[1];
  const { access_token: token } = await post("/api/v1/guests", { name: "Ada" });
  const talk = start(process.execPath, ["--experimental-websocket", join(examples, "talk/talk.mjs"), socketUrl()], {
    TOKEN: token,
  });
  let room = "42";
  let heard = 0;
  for (const part of conversation.split(/^> /m).slice(1)) {
    const [said, ...answers] = part.trim().split("\n");
    const expected = answers.map((line) => JSON.parse(line.slice(2)));
    talk.child.stdin.write(`${said.replaceAll('"42"', `"${room}"`)}\n`);
    const frames = () => talk.output.split("\n").filter((line) => line.startsWith("< "));
    await until(`there is an answer to ${said}`, () => frames().length >= heard + expected.length);
    const came = frames().slice(heard).map((line) => JSON.parse(line.slice(2)));
    assert.deepEqual(came.map(shape).sort(), expected.map(shape).sort(), said);
    heard += came.length;
    room = came[0].ok?.room_create?.room.id ?? room;
  }
  assert.ok(heard > 5);
});

test("the clients of five lines in the README print what stands there", async () => {
  const programs = {
    sh: (code) => ["bash", "-euo", "pipefail", "-c", code],
    python: (code) => [process.env.PYTHON, "-c", code],
    js: (code) => [process.execPath, "--experimental-websocket", "--input-type=module", "--eval", code],
  };
  const examples = readmePart("Clients of five lines").matchAll(/```(\w+)\n(.*?)```.*?```text\n(.*?)\n```/gs);
  let count = 0;
  for (const [, language, code, printed] of examples) {
    const expected = printed.split("\n").map(withoutNumbers);
    const [program, ...args] = programs[language](code.replaceAll("127.0.0.1:8080", new URL(server).host));
    const example = start(program, args);
    const lines = () => example.output.split("\n").slice(0, -1);
    await until(`the example in ${language} has printed`, () => lines().length >= expected.length);
    assert.deepEqual(lines().slice(0, expected.length).map(withoutNumbers), expected, language);
    count += 1;
  }
  assert.equal(count, 3);
});

test("the commands of the README work", () => {
  const commands = readmePart("Operation").match(/```sh\n(.*?)```/s)[1].trim().split("\n");
  const load = readmePart("Tests and load").match(/```sh\ncargo run --release -p (.*?)```/s)[1].replace(" -- ", " ");
  assert.ok(commands.length > 3);
  const env = withPrograms();
  for (const command of [...commands, `${load.trim()} --seconds 2`]) {
    const here = command.replace("127.0.0.1:8080", new URL(server).host);
    execFileSync("bash", ["-euo", "pipefail", "-c", here], { cwd: folder, env, stdio: "pipe" });
  }
  assert.equal(readFileSync(join(folder, "tokens.jsonl"), "utf8").trim().split("\n").length, 20);
});

/** A part of the README, by its heading. */
function readmePart(heading) {
  const page = readFileSync(join(examples, "../README.md"), "utf8");
  const part = page.split(/^## /m).find((part) => part.startsWith(`${heading}\n`));
  assert.ok(part, `the README has a part ${heading}`);
  return part;
}

/** A line that a program printed, without what differs each time. */
function withoutNumbers(line) {
  return line.replace(/\d+/g, "0");
}

/** The environment of somebody who has the programs of this workspace, freshly built, in their PATH. */
function withPrograms() {
  const bin = join(folder, "bin");
  mkdirSync(bin);
  symlinkSync(process.env.BOBCHAT_BIN, join(bin, "bobchat"));
  symlinkSync(join(dirname(process.env.BOBCHAT_BIN), "bobchat-loadtest"), join(bin, "bobchat-loadtest"));
  return { ...process.env, PATH: `${bin}:${process.env.PATH}` };
}

/** What a frame holds, without the values that differ each time. */
function shape(frame) {
  return JSON.stringify(frame, (name, value) => {
    if (value === null || typeof value !== "object") return name === "code" ? value : typeof value;
    return Array.isArray(value) ? value : Object.fromEntries(Object.entries(value).sort());
  });
}

function socketUrl() {
  return `${server.replace(/^http/, "ws")}/api/v1/ws`;
}

/** Runs an example that prints one line. */
function run(program, example, ...rest) {
  return execFileSync(program, [join(examples, example), ...rest], { encoding: "utf8" }).trim();
}

/** Starts a program that runs until the end of the tests. */
function start(program, args, environment = {}) {
  const env = { ...process.env, BOBCHAT_URL: server, ...environment };
  const child = spawn(program, args, { cwd: folder, env, stdio: "pipe" });
  const started = { child, output: "" };
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => (started.output += data));
  children.push(started);
  return started;
}

async function stop({ child }) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGTERM");
  await ended;
}

/** Waits until `holds`; fails with what the programs said when it takes too long. */
async function until(what, holds) {
  for (const end = Date.now() + 20_000; Date.now() < end; await wait(50)) {
    if (await Promise.resolve(holds()).catch(() => false)) return;
  }
  assert.fail(`waited in vain until ${what}:\n${children.map(({ output }) => output).join("\n")}`);
}

async function get(path, token) {
  return json(await fetch(server + path, { headers: { authorization: `Bearer ${token}` } }));
}

async function post(path, body, token) {
  const headers = { "content-type": "application/json", "idempotency-key": randomUUID() };
  if (token) headers.authorization = `Bearer ${token}`;
  return json(await fetch(server + path, { method: "POST", headers, body: JSON.stringify(body) }));
}

async function json(answer) {
  const text = await answer.text();
  assert.ok(answer.ok, `${answer.url}: ${answer.status} ${text}`);
  return JSON.parse(text);
}

function freePort() {
  return new Promise((resolve, reject) => {
    const listener = createServer().on("error", reject);
    listener.listen(0, "127.0.0.1", () => {
      const { port } = listener.address();
      listener.close(() => resolve(port));
    });
  });
}
