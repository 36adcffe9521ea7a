import { Api } from "./api";
import { expect, test } from "./fixtures";

test.use({ breaksNetwork: true });

const numbered = (count: number, word: string) =>
  Array.from({ length: count }, (_, index) => `${word} ${index + 1}`);

for (const signal of ["SIGTERM", "SIGKILL"] as const) {
  test(`a server that goes by ${signal} and returns costs nobody a message`, async ({
    server,
    browserFor,
  }) => {
    const [ada, bob] = [await browserFor(), await browserFor()];
    await ada.signIn(server.url, "Ada");
    await bob.signIn(server.url, "Bob");
    const api = await Api.guest(server.url, "Witness");
    const room = await api.createRoom(`Restart ${signal}`);
    for (const person of [ada, bob]) await person.openRoom(room);
    await ada.send("before");
    await bob.sees("before");

    await server.stop(signal);
    await ada.send("written while it was away");
    await expect(ada.banner).toContainText("No connection", { timeout: 15_000 });
    await expect(ada.banner).toContainText(/Next try in \d+ s|Connecting/);
    await expect(ada.message("written while it was away").getByText("Sending")).toBeAttached();

    await server.start();
    // Somebody else is quicker: the two who were away must get this from the replay.
    for (const text of numbered(5, "meanwhile")) await api.send(room, text);
    const retry = ada.page.getByRole("button", { name: "Retry now" });
    if (await retry.isVisible()) await retry.click({ timeout: 2_000 }).catch(() => {});
    for (const person of [ada, bob]) {
      await expect(person.message("written while it was away")).toHaveCount(1, { timeout: 40_000 });
      await expect(person.banner).toBeHidden();
    }
    const stored = await api.texts(room);
    expect([...stored].sort()).toEqual(
      ["before", ...numbered(5, "meanwhile"), "written while it was away"].sort(),
    );
    for (const person of [ada, bob]) await expect.poll(() => person.texts()).toEqual(stored);
  });
}

test("a cut wire is told, typing goes on, and what waited goes out once and in order", async ({
  server,
  wire,
  browserFor,
}) => {
  const [ada, bob] = [await browserFor(), await browserFor()];
  await ada.signIn(wire.url, "Ada");
  await bob.signIn(server.url, "Bob");
  const api = await Api.guest(server.url, "Witness");
  const room = await api.createRoom("Cut wire");
  for (const person of [ada, bob]) await person.openRoom(room);
  await ada.send("before");
  await bob.sees("before");

  wire.cut();
  for (const text of numbered(3, "waiting")) await ada.send(text);
  await bob.send("missed 1");
  await bob.send("missed 2");
  await expect(ada.banner).toBeVisible({ timeout: 15_000 });
  wire.mend();
  await expect.poll(() => api.texts(room), { timeout: 40_000 }).toHaveLength(6);
  const stored = await api.texts(room);
  expect(stored.filter((text) => text.startsWith("waiting"))).toEqual(numbered(3, "waiting"));
  for (const person of [ada, bob]) await expect.poll(() => person.texts()).toEqual(stored);
});

test("a browser that goes offline and comes back sends what waited, once", async ({ server, browserFor }) => {
  const [ada, bob] = [await browserFor(), await browserFor()];
  await ada.signIn(server.url, "Ada");
  await bob.signIn(server.url, "Bob");
  const api = await Api.guest(server.url, "Witness");
  const room = await api.createRoom("Offline");
  for (const person of [ada, bob]) await person.openRoom(room);
  await ada.context.setOffline(true);
  await ada.send("from a tunnel");
  await bob.send("can you hear me");
  await ada.page.waitForTimeout(500);
  await ada.context.setOffline(false);
  for (const person of [ada, bob]) {
    await expect(person.message("from a tunnel")).toHaveCount(1, { timeout: 40_000 });
    await expect(person.message("can you hear me")).toHaveCount(1);
  }
  expect((await api.texts(room)).length).toBe(2);
});

test("a message whose answer was lost is there once, also after a reload", async ({
  server,
  wire,
  browserFor,
}) => {
  const ada = await browserFor();
  await ada.signIn(wire.url, "Ada");
  const api = await Api.guest(server.url, "Witness");
  const room = await api.createRoom("Lost answer");
  await ada.openRoom(room);
  await expect(ada.page.getByText("Nothing here yet. Say hello.")).toBeVisible();
  wire.mute();
  await ada.send("exactly once");
  await expect.poll(() => api.texts(room)).toEqual(["exactly once"]);
  await expect(ada.message("exactly once").getByText("Sending")).toBeAttached();

  // The server has it, the page does not know: whatever comes now, it stays one message.
  wire.cut();
  wire.mend();
  await ada.page.reload();
  await expect(ada.message("exactly once").getByText("Sent")).toBeAttached({ timeout: 40_000 });
  await ada.sees("exactly once");
  await ada.send("and on");
  await ada.sees("and on");
  expect(await api.texts(room)).toEqual(["exactly once", "and on"]);
});

test("a refused message can be tried again or deleted, and is never doubled", async ({
  server,
  browserFor,
}) => {
  const ada = await browserFor();
  await ada.signIn(server.url, "Ada");
  const api = await Api.guest(server.url, "Witness");
  const room = await api.createRoom("Refused");
  await ada.openRoom(room);
  // A server that refuses twice: the page's own socket says so.
  await ada.page.evaluate(() => {
    const send = WebSocket.prototype.send;
    let refusals = 2;
    WebSocket.prototype.send = function (frame) {
      const request = JSON.parse(String(frame)) as { id: number; message_send?: object };
      if (request.message_send && refusals > 0) {
        refusals -= 1;
        const error = { code: "forbidden", message: "not now", temporary: false };
        const data = JSON.stringify({ id: request.id, error });
        setTimeout(() => this.dispatchEvent(new MessageEvent("message", { data })));
      } else send.call(this, frame);
    };
  });
  await ada.send("insistent");
  await ada.send("unwanted");
  const insistent = ada.message("insistent");
  await expect(insistent).toContainText("Not sent. Not now.");
  await ada.message("unwanted").getByRole("button", { name: "Delete" }).click();
  await expect(ada.message("unwanted")).toHaveCount(0);
  await insistent.getByRole("button", { name: "Retry" }).dblclick();
  await expect(insistent.getByText("Sent", { exact: true })).toBeAttached();
  await ada.sees("insistent");
  expect(await api.texts(room)).toEqual(["insistent"]);
});
