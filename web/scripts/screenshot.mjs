// Takes the README's picture from a running server with an empty data folder:
//   node scripts/screenshot.mjs [http://127.0.0.1:8080] [../docs/images/screenshot.png]
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { launch, openRoom, signIn } from "./browser.mjs";
import { fill, say, type } from "./cast.mjs";

const [url = "http://127.0.0.1:8080", out = "../docs/images/screenshot.png"] = process.argv.slice(2);
const browser = await launch();
const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, locale: "en-GB" });
const page = await context.newPage();
await signIn(page, url, "Dorothy Vaughan");

const { rooms, tokens } = await fill(url);
for (const room of [...rooms.values()].reverse()) await openRoom(page, room);
const garden = rooms.get("garden");
await openRoom(page, garden);
await attend(await context.newPage(), garden);

// What happens elsewhere while one reads here.
await say(url, tokens.get("Emmy Noether"), rooms.get("numbers"), "Paid. Katherine was right again");
await say(url, tokens.get("Katherine Johnson"), rooms.get("numbers"), "I usually check first");
await say(url, tokens.get("Grace Hopper"), rooms.get("kitchen"), "There is bread, too");
await page.bringToFront();
for (const text of ["I pass the hardware shop on Friday", "Which filter is it, the 25 or the 32?"]) {
  await page.locator("#composer").fill(text);
  await page.keyboard.press("Enter");
}
await page.locator(".message-state.shown").waitFor();
await say(url, tokens.get("Alan Turing"), garden, "The 32. I can send you a photograph of the box");
await say(
  url,
  tokens.get("Ada Lovelace"),
  garden,
  "Dorothy, you are a treasure. There are beans in it for you",
);
await page.getByRole("article").getByText("There are beans in it").waitFor();
await type(url, tokens.get("Grace Hopper"), garden);
await page.getByText("is typing").waitFor();
await page.mouse.move(0, 0);
await page.waitForTimeout(400);

mkdirSync(dirname(out), { recursive: true });
await page.screenshot({ path: out });
await browser.close();

/** Lets the cast be here: a connection each, from one page. */
async function attend(stage, room) {
  await stage.goto(`${url}/favicon.svg`);
  const here = ["Ada Lovelace", "Grace Hopper", "Alan Turing", "Mary Somerville"].map((who) =>
    tokens.get(who),
  );
  await stage.evaluate(
    async ({ here, room }) => {
      window.sockets = await Promise.all(
        here.map(
          (token) =>
            new Promise((resolve) => {
              const socket = new WebSocket(`ws://${location.host}/api/v1/ws`, "bobchat.v1.json");
              socket.onopen = () => socket.send(JSON.stringify({ id: 1, auth: { token, cursors: [] } }));
              socket.onmessage = ({ data }) => {
                const frame = JSON.parse(data);
                if (frame.id === 1) socket.send(JSON.stringify({ id: 2, subscribe: { room } }));
                if (frame.id === 2) resolve(socket);
              };
            }),
        ),
      );
    },
    { here, room },
  );
}
