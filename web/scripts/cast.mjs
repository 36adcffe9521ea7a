// A small cast and what they say: fills a server for screenshots, through the same REST that everybody uses.

/** The rooms, and in each who says what. A line that begins with `>` follows at once. */
const ROOMS = [
  {
    name: "garden",
    topic: "What grows, what does not, and who waters on Thursday",
    lines: [
      ["Ada Lovelace", "Morning. The frost missed us by half a degree"],
      ["Grace Hopper", "I saw. I had the fleece ready and then did not need it"],
      ["Ada Lovelace", "Same. The beans are up, all twelve"],
      ["Mary Somerville", "Twelve of twelve is suspicious. Are you sure they are beans?"],
      ["Ada Lovelace", "I planted them, I labelled them, I counted them"],
      ["Ada Lovelace", "They are beans, Mary"],
      ["Katherine Johnson", "For the record: 12/12 at 90 % germination happens about one time in four"],
      ["Mary Somerville", "Thank you, Katherine. I withdraw the accusation"],
      ["Grace Hopper", "Who waters on Thursday? I am away until the evening"],
      ["Alan Turing", "I can. The timer runs `06:30` and `20:00`, I only have to check that it did"],
      [
        "Alan Turing",
        "If anybody wants to read along:\n```\n$ tail -1 water.log\nthu 06:30 bed-3 ok 4m10s 11.2l\n```",
      ],
      ["Grace Hopper", "You log the watering"],
      ["Alan Turing", "I log everything"],
      ["Katherine Johnson", "11.2 litres in 4:10 is a little under last week. Worth a look at the filter"],
    ],
  },
  {
    name: "welcome desk",
    topic: "Questions that are not silly",
    lines: [
      ["Mary Somerville", "Where do the old minutes live?"],
      ["Grace Hopper", "https://example.org/minutes has all of them"],
    ],
  },
  {
    name: "kitchen",
    topic: "",
    lines: [
      ["Grace Hopper", "Soup is on"],
      ["Alan Turing", "On my way"],
    ],
  },
  {
    name: "numbers",
    topic: "Proofs, near-proofs and bets",
    lines: [
      ["Katherine Johnson", "The bet stands at three to one"],
      ["Emmy Noether", "I will take it"],
    ],
  },
  { name: "film night", topic: "Fridays, eight o'clock", lines: [["Emmy Noether", "Metropolis again?"]] },
];

/** Calls the REST interface. */
async function call(url, token, method, path, body) {
  const headers = { "content-type": "application/json", ...(token && { authorization: `Bearer ${token}` }) };
  if (method === "POST" && token) headers["idempotency-key"] = crypto.randomUUID();
  const answer = await fetch(`${url}/api/v1${path}`, { method, headers, body: JSON.stringify(body) });
  if (answer.status === 429) {
    const { retry_after_ms } = await answer.json();
    await new Promise((wake) => setTimeout(wake, (retry_after_ms ?? 500) + 50));
    return call(url, token, method, path, body);
  }
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  return answer.json();
}

/** Signs the cast up, makes the rooms and lets them talk. Answers the rooms' ids and everybody's token. */
export async function fill(url) {
  const tokens = new Map();
  const rooms = new Map();
  for (const { name, topic, lines } of [...ROOMS].reverse()) {
    let room;
    for (const [who, text] of lines) {
      if (!tokens.has(who))
        tokens.set(who, (await call(url, null, "POST", "/guests", { name: who })).access_token);
      const token = tokens.get(who);
      room ??= (await call(url, token, "POST", "/rooms", { name, topic })).room.id;
      await call(url, token, "POST", `/rooms/${room}/join`, {});
      await call(url, token, "POST", `/rooms/${room}/messages`, { text });
    }
    rooms.set(name, room);
  }
  return { rooms, tokens };
}

/** Says one more thing. */
export const say = (url, token, room, text) => call(url, token, "POST", `/rooms/${room}/messages`, { text });

/** Says that somebody is typing. */
export const type = (url, token, room) => call(url, token, "POST", `/rooms/${room}/typing`, {});
