// An echo bot: in one room, it answers "!echo words" with "words", each exactly once.
//
//   node --experimental-websocket bot.mjs ROOM       (from Node 22 on, without the flag)
//
// BOBCHAT_URL says where the server is. Leave it running: it comes back after a lost connection, reads
// what it missed, and answers that too. It has no state but what it holds while it runs.
const server = process.env.BOBCHAT_URL ?? "http://127.0.0.1:8080";
const room = process.argv[2];
const RENEW_BEFORE_MS = 60_000;
const RECONNECT_MS = 1_000;

let session = await post("/api/v1/guests", { name: "Echo bot" });
let cursor; // The position of the last event that was handled.
const unsent = new Map(); // Answers by their key, until the room shows them.
connect();

async function post(path, body) {
  const headers = { "content-type": "application/json" };
  const answer = await fetch(server + path, { method: "POST", headers, body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(`${path}: ${await answer.text()}`);
  return answer.json();
}

function connect() {
  const socket = new WebSocket(`${server.replace(/^http/, "ws")}/api/v1/ws`, "bobchat.v1.json");
  let requests = 0;
  let renewal;
  const send = (request) => socket.send(JSON.stringify({ id: ++requests, ...request }));

  socket.onopen = () => send({ auth: { token: session.access_token, cursors: [] } });
  socket.onclose = ({ code, reason }) => {
    clearTimeout(renewal);
    console.log(`closed: ${code} ${reason}`);
    // 4400 to 4499 say: do not come back by yourself.
    if (code >= 4400 && code <= 4499) process.exit(1);
    setTimeout(reconnect, RECONNECT_MS * (0.5 + Math.random()));
  };
  socket.onmessage = ({ data }) => {
    const { ok, error, event, reset } = JSON.parse(data);
    if (error) {
      console.log(`error: ${error.code}: ${error.message}`);
      if (error.temporary) setTimeout(sendAnswers, error.retry_after_ms ?? RECONNECT_MS);
    }
    // Joining twice is no error.
    if (ok?.auth) send({ room_join: { room } });
    // A cursor asks for what was missed.
    if (ok?.room_join) send({ subscribe: { room, cursor } });
    if (ok?.auth || ok?.auth_renew) {
      const { expires_at } = ok.auth ?? ok.auth_renew;
      renewal = setTimeout(renew, Math.max(0, Date.parse(expires_at) - Date.now() - RENEW_BEFORE_MS), send);
    }
    if (ok?.subscribe) {
      // Without a cursor, or with one that cannot be continued, the room goes on from its head.
      if (!cursor || ok.subscribe.reset) cursor = ok.subscribe.head;
      console.log(`listening in room ${room}`);
      sendAnswers();
    }
    if (reset) cursor = reset.head;
    if (event) {
      const answer = handle(event);
      if (answer) send({ message_send: answer });
    }
  };
  // Sending twice is no harm: the room knows the key.
  function sendAnswers() {
    if (socket.readyState !== WebSocket.OPEN) return;
    for (const answer of unsent.values()) send({ message_send: answer });
  }
}

/** Takes note of an event; returns the answer to it, if it wants one. */
function handle({ epoch, seq, key: shown, message }) {
  cursor = { epoch, seq };
  unsent.delete(shown);
  const words = message?.text.match(/^!echo\s+(.+)/s)?.[1];
  if (!words) return undefined;
  // The key names the event, so that the room has one answer to it, however often it is sent.
  const answer = { room, key: `echo-${epoch}-${seq}`, text: words };
  unsent.set(answer.key, answer);
  return answer;
}

async function renew(send) {
  session = await post("/api/v1/tokens/refresh", { refresh_token: session.refresh_token });
  send({ auth_renew: { token: session.access_token } });
}

async function reconnect() {
  try {
    session = await post("/api/v1/tokens/refresh", { refresh_token: session.refresh_token });
    connect();
  } catch (error) {
    console.log(`cannot come back yet: ${error.message}`);
    setTimeout(reconnect, RECONNECT_MS * (0.5 + Math.random()));
  }
}
