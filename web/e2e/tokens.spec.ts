import { expect, test } from "./fixtures";
import { Person } from "./person";

test("two tabs renew the token once, and stay connected with it", async ({ server, browserFor }) => {
  test.slow();
  const first = await browserFor();
  await first.signIn(server.url, "Ada");
  // As if most of its quarter of an hour were over: it is renewed in the last third of what is left.
  await first.tokens({ ends_at: Date.now() + 45_000 });
  const refreshes: number[] = [];
  first.context.on("response", (response) => {
    if (response.url().endsWith("/tokens/refresh")) refreshes.push(response.status());
  });
  const second = new Person(await first.context.newPage());
  const renewals = [first, second].map(({ page }) => {
    const sent: string[] = [];
    page.on("websocket", (socket) =>
      socket.on("framesent", ({ payload }) => {
        if (/"auth(_renew)?":/.test(String(payload)))
          sent.push(/auth_renew/.test(String(payload)) ? "renewed" : "signed in");
      }),
    );
    return sent;
  });
  await second.page.goto(first.page.url());
  await first.page.reload();
  await expect
    .poll(() => renewals, { timeout: 60_000 })
    .toEqual([
      ["signed in", "renewed"],
      ["signed in", "renewed"],
    ]);
  expect(refreshes).toEqual([200]);
  await first.send("from the first tab");
  await second.sees("from the first tab");
  await second.send("from the second tab");
  await first.sees("from the second tab");
});

test("a token that ended is exchanged before anything else", async ({ server, browserFor }) => {
  const ada = await browserFor();
  await ada.signIn(server.url, "Ada");
  await ada.tokens({ ends_at: 0 });
  const refreshed = ada.page.waitForResponse(/tokens\/refresh/);
  await ada.page.reload();
  expect((await refreshed).status()).toBe(200);
  await ada.send("still me");
  await expect(ada.message("still me").getByText("Sent")).toBeAttached();
});

test("who is signed out elsewhere is told, in every tab", async ({ server, browserFor }) => {
  const first = await browserFor();
  await first.signIn(server.url, "Ada");
  const second = new Person(await first.context.newPage());
  await second.page.goto(first.page.url());
  await expect(second.composer).toBeVisible();
  const headers = { authorization: `Bearer ${(await first.tokens())?.access}` };
  const ended = await fetch(`${server.url}/api/v1/session`, { method: "DELETE", headers });
  expect(ended.status).toBe(204);
  for (const { page } of [first, second]) {
    await expect(page.getByText("You were signed out.")).toBeVisible();
    await expect(page.getByLabel("Your name")).toBeVisible();
  }
});

test("signing out asks once and leaves nothing behind", async ({ server, browserFor }) => {
  const ada = await browserFor();
  await ada.signIn(server.url, "Ada");
  await ada.composer.fill("a draft");
  await ada.page.getByRole("button", { name: "Ada", exact: true }).click();
  await ada.page.getByRole("button", { name: "Sign out" }).click();
  await ada.page.getByRole("button", { name: "Sign out for good" }).click();
  await expect(ada.page.getByLabel("Your name")).toBeVisible();
  expect(await ada.tokens()).toBeNull();
  const left = await ada.page.evaluate(() => Object.entries(localStorage).map(([name]) => name));
  expect(left.filter((name) => !name.startsWith("bobchat.outbox"))).toEqual([]);
  await ada.page.reload();
  await expect(ada.page.getByLabel("Your name")).toBeVisible();
});
