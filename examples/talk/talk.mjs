// Speaks with Bobchat by hand: each line that you type is a frame, each frame that comes is a line.
//
//   TOKEN=... node --experimental-websocket talk.mjs ws://127.0.0.1:8080/api/v1/ws
//
// The word TOKEN in a line stands for the environment variable. From Node 22 on, leave the flag out.
import { createInterface } from "node:readline";

const socket = new WebSocket(process.argv[2] ?? "ws://127.0.0.1:8080/api/v1/ws", "bobchat.v1.json");

socket.onmessage = ({ data }) => console.log(`< ${data}`);
socket.onerror = () => console.error("cannot connect, or the connection broke");
socket.onclose = ({ code, reason }) => {
  console.log(`closed: ${code} ${reason}`);
  process.exit();
};
socket.onopen = async () => {
  for await (const line of createInterface({ input: process.stdin })) {
    const frame = line.replace(/^>\s*/, "").replace("TOKEN", process.env.TOKEN ?? "");
    if (frame) socket.send(frame);
  }
  socket.close();
};
