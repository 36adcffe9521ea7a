import { Api } from "./api";
import { expect, test } from "./fixtures";

const PAGES = 320;

async function longRoom(url: string, name: string): Promise<{ api: Api; room: string; texts: string[] }> {
  const api = await Api.guest(url, "Chronicler");
  const room = await api.createRoom(name);
  for (let line = 1; line <= PAGES; line++) {
    // Lines of unequal height: a place must not depend on their sum.
    await api.send(room, line % 7 === 0 ? `line ${line}\n${"more of it ".repeat(40)}` : `line ${line}`);
  }
  return { api, room, texts: await api.texts(room) };
}

test("a long room is read back to its beginning and forward to its end", async ({ server, browserFor }) => {
  const { room, texts } = await longRoom(server.url, "Back and forth");
  const ada = await browserFor();
  await ada.signIn(server.url, "Ada");
  await ada.openRoom(room);
  await expect.poll(() => ada.belowTheFold()).toBeLessThan(2);

  const seen = new Set<string>();
  const read = async () => {
    for (const text of await ada.texts()) seen.add(text.trim().split("\n")[0] ?? "");
  };
  await expect(async () => {
    await ada.scrollBy(-1500);
    await read();
    await expect(ada.page.getByText("This is where it began.")).toBeVisible({ timeout: 100 });
  }).toPass({ timeout: 30_000 });
  await expect(async () => {
    await ada.scrollBy(1500);
    await read();
    expect(await ada.belowTheFold()).toBeLessThan(2);
    await expect(ada.message(`line ${PAGES}`)).toHaveCount(1, { timeout: 100 });
  }).toPass({ timeout: 30_000 });
  for (const text of texts) expect(seen).toContain(text.split("\n")[0]);
  // The page holds what is around the reader, not the whole room.
  expect((await ada.texts()).length).toBeLessThan(400);
});

test("the row under the eye stays while older rows come above it", async ({ server, browserFor }) => {
  const { room } = await longRoom(server.url, "Anchor");
  const ada = await browserFor();
  await ada.signIn(server.url, "Ada");
  await ada.openRoom(room);
  await expect.poll(() => ada.belowTheFold()).toBeLessThan(2);
  const rows = async () => (await ada.texts()).length;
  const before = await rows();
  // One scroll, and the rows that it brings: nothing moves but the scroll itself.
  await ada.log.evaluate((log) => {
    log.scrollTop = 400;
  });
  const eye = await ada.eye();
  await expect.poll(rows).toBeGreaterThan(before);
  expect(await ada.eye()).toEqual(eye);
});

test("a reload brings back the room, the place in it and the draft", async ({ server, browserFor }) => {
  const { room } = await longRoom(server.url, "Reload");
  const ada = await browserFor();
  await ada.signIn(server.url, "Ada");
  await ada.openRoom(room);
  await expect.poll(() => ada.belowTheFold()).toBeLessThan(2);
  await ada.composer.fill("half a thought");
  for (let step = 0; step < 6; step++) {
    await ada.scrollBy(-1200);
    await ada.page.waitForTimeout(100);
  }
  const eye = await ada.eye();
  await ada.page.reload();
  await expect(ada.log.getByRole("article").first()).toBeVisible();
  await expect.poll(() => ada.eye()).toEqual(eye);
  await expect(ada.composer).toHaveValue("half a thought");

  // Far from the end, the newest message is fetched and not merely scrolled to.
  await ada.page.getByRole("button", { name: /Jump to latest/ }).click();
  await ada.sees(`line ${PAGES}`);
  await expect.poll(() => ada.belowTheFold()).toBeLessThan(2);
  await ada.page.reload();
  await ada.sees(`line ${PAGES}`);
  await expect.poll(() => ada.belowTheFold()).toBeLessThan(2);
});

test("who reads old messages is not moved by new ones, and is told of them", async ({
  server,
  browserFor,
}) => {
  const { api, room } = await longRoom(server.url, "Undisturbed");
  const ada = await browserFor();
  await ada.signIn(server.url, "Ada");
  await ada.openRoom(room);
  await expect.poll(() => ada.belowTheFold()).toBeLessThan(2);
  await ada.scrollBy(-1000);
  await expect(ada.page.getByRole("button", { name: /Jump to latest/ })).toBeVisible();
  const eye = await ada.eye();
  for (const text of ["news", "more news", "still more"]) await api.send(room, text);
  const pill = ada.page.getByRole("button", { name: /Jump to latest/ });
  await expect(pill).toContainText("3 new");
  expect(await ada.eye()).toEqual(eye);
  await pill.click();
  await ada.sees("still more");
  await expect(pill).toBeHidden();
});

test("unread rooms say how much is new, and open where one stopped reading", async ({
  server,
  browserFor,
}) => {
  const { api, room } = await longRoom(server.url, "Unread");
  const ada = await browserFor();
  await ada.signIn(server.url, "Ada");
  await ada.openRoom(room);
  await expect.poll(() => ada.belowTheFold()).toBeLessThan(2);
  await ada.page.getByRole("link", { name: /welcome/i }).click();
  await expect(ada.page.getByRole("heading", { level: 1 })).toHaveText(/welcome/i);
  for (let line = 1; line <= 5; line++) await api.send(room, `unread ${line}`);
  const link = ada.page.getByRole("link", { name: /Unread/ });
  await expect(link.locator(".badge")).toContainText("5");
  await expect(ada.page).toHaveTitle(/^\(5\)/);
  await link.click();
  await expect(ada.page.locator("[data-new]")).toBeVisible();
  await ada.sees("unread 5");
  await expect(link.locator(".badge")).toHaveCount(0);
});
