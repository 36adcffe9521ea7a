// A room as the documentation of Socket.IO has it: joined, broadcast to, acknowledged. WebSockets from the first byte on
// and no compression, like everybody else in the comparison.
//
//   node socketio.mjs [--log FILE] [--listen HOST:PORT]
//
// It stores nothing. With --log each message is in FILE, and synced to the disk, before anybody sees it: the least that
// a server of this kind can do to promise what Bobchat does. Messages that come while a sync goes on share the next one.
import { fdatasync, openSync, writeSync } from "node:fs";
import { createServer } from "node:http";
import { parseArgs, promisify } from "node:util";
import { Server } from "socket.io";

const { values } = parseArgs({
  options: { log: { type: "string" }, listen: { type: "string", default: "127.0.0.1:0" } },
});
const [, host, port] = values.listen.match(/^(.*):(\d+)$/) ?? [];
if (host === undefined) throw new Error(`--listen ${values.listen} is not HOST:PORT`);

const sync = promisify(fdatasync);
const log = values.log === undefined ? undefined : openSync(values.log, "a");
let waiting = [];
let isSyncing = false;

// Calls `done` once `line` is on the disk; in the order of the calls.
async function store(line, done) {
  waiting.push({ line, done });
  if (isSyncing) return;
  isSyncing = true;
  while (waiting.length > 0) {
    const batch = waiting;
    waiting = [];
    writeSync(log, batch.map((one) => one.line).join(""));
    await sync(log);
    for (const { done } of batch) done();
  }
  isSyncing = false;
}

const http = createServer();
const io = new Server(http, { transports: ["websocket"], serveClient: false, perMessageDeflate: false });
const seqs = new Map();

io.on("connection", (socket) => {
  socket.on("join", (room, ack) => {
    socket.join(String(room));
    ack(room, seqs.get(room) ?? 0);
  });
  socket.on("send", (room, key, text, ack) => {
    const seq = (seqs.get(room) ?? 0) + 1;
    seqs.set(room, seq);
    const publish = () => {
      io.to(String(room)).emit("event", room, seq, key, text);
      ack(room, seq);
    };
    if (log === undefined) publish();
    else store(`${JSON.stringify([room, seq, key, text])}\n`, publish);
  });
});

http.listen(Number(port), host, () => {
  const { address, port } = http.address();
  console.log(`listening on ${address}:${port}`);
});
