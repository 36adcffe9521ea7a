import { expect, test } from "./fixtures";

test("two people talk in the welcome room", async ({ server, browserFor }) => {
  const [ada, bob] = [await browserFor(), await browserFor()];
  await ada.signIn(server.url, "Ada Lovelace");
  await bob.signIn(server.url, "Bob");
  await ada.send("Hello Bob");
  await bob.sees("Hello Bob");
  await expect(bob.message("Hello Bob").locator(".message-author")).toHaveText("Ada Lovelace");
  await bob.send("Hello Ada");
  await ada.sees("Hello Ada");
  await expect(ada.message("Hello Bob").getByText("Sent")).toBeAttached();
  expect(await ada.texts()).toEqual(await bob.texts());
});

test("one sees that somebody types, and who is here", async ({ server, browserFor }) => {
  const [ada, bob] = [await browserFor(), await browserFor()];
  await ada.signIn(server.url, "Ada");
  await bob.signIn(server.url, "Bob");
  await bob.composer.pressSequentially("hm");
  await expect(ada.page.locator(".typing-line")).toHaveText("Bob is typing");
  await bob.composer.press("Enter");
  await expect(ada.page.locator(".typing-line")).toHaveText("");
  await ada.page.getByTitle("Details").click();
  const details = ada.page.getByRole("complementary", { name: /Details/ });
  await expect(
    details.getByRole("listitem").filter({ hasText: "Bob" }).getByText("here").first(),
  ).toBeVisible();
  await ada.page.keyboard.press("Escape");
  await expect(details).toBeHidden();
});

test("a public room is made, found, joined and left", async ({ server, browserFor }) => {
  const [ada, bob] = [await browserFor(), await browserFor()];
  await ada.signIn(server.url, "Ada");
  await bob.signIn(server.url, "Bob");
  await ada.page.getByRole("button", { name: "New room" }).click();
  await ada.page.getByLabel("Name").fill("Gardening");
  await ada.page.getByLabel("Topic").fill("What grows");
  await ada.page.getByRole("button", { name: "Make room" }).click();
  await expect(ada.page.getByRole("heading", { level: 1 })).toHaveText("Gardening");
  await ada.send("The tomatoes are early");

  await bob.page.getByRole("link", { name: "Browse rooms" }).click();
  await bob.page.getByLabel("Find rooms by name").fill("gard");
  await bob.page.getByRole("button", { name: "Join Gardening" }).click();
  await bob.sees("The tomatoes are early");
  await bob.send("Mine too");
  await ada.sees("Mine too");

  await bob.page.getByTitle("Details").click();
  await bob.page.getByRole("button", { name: "Leave room" }).click();
  await expect(bob.page.getByRole("link", { name: "Gardening" })).toHaveCount(0);
  await expect(ada.page.getByTitle("Details")).toContainText("1 member");
});

test("a private room is seen by those who are added", async ({ server, browserFor }) => {
  const [ada, bob] = [await browserFor(), await browserFor()];
  await bob.signIn(server.url, "Robert the Invited");
  await bob.send("here I am");
  await ada.signIn(server.url, "Ada");
  await ada.page.getByRole("button", { name: "New room" }).click();
  await ada.page.getByLabel("Name").fill("Plans");
  await ada.page.getByLabel(/Only members/).check();
  await ada.page.getByRole("button", { name: "Make room" }).click();
  await expect(ada.page.getByRole("heading", { level: 1 })).toHaveText("Plans");
  await bob.openRoomExpectingNothing(ada.room());

  await ada.page.getByTitle("Details").click();
  await ada.page.getByRole("button", { name: "Add somebody" }).click();
  await ada.page.getByLabel("Find people by name").fill("robert");
  await ada.page.getByRole("button", { name: "Add Robert the Invited" }).click();
  await ada.page.keyboard.press("Escape");
  await bob.page.getByRole("link", { name: "Plans" }).click();
  await ada.send("Now you see it");
  await bob.sees("Now you see it");
});

test("text stays text, and links open safely", async ({ server, browserFor }) => {
  const ada = await browserFor();
  await ada.signIn(server.url, "<b>Ada</b>");
  await ada.send("<img src=x onerror=alert(1)> and https://example.org/a?b=c.");
  const row = ada.message("onerror");
  await expect(row).toHaveCount(1);
  await expect(row.locator("img")).toHaveCount(0);
  const link = row.getByRole("link");
  await expect(link).toHaveAttribute("href", "https://example.org/a?b=c");
  await expect(link).toHaveAttribute("rel", /noopener/);
});

test("keys: lines, the switcher, the rooms", async ({ server, browserFor }) => {
  const ada = await browserFor();
  await ada.signIn(server.url, "Ada");
  await ada.composer.fill("one");
  await ada.composer.press("Shift+Enter");
  await ada.composer.pressSequentially("two");
  await ada.composer.press("Enter");
  await expect(ada.composer).toHaveValue("");
  expect(await ada.texts()).toContain("one\ntwo");

  await ada.page.getByRole("button", { name: "New room" }).click();
  await ada.page.getByLabel("Name").fill("Zebra crossing");
  await ada.page.keyboard.press("Enter");
  await expect(ada.page.getByRole("heading", { level: 1 })).toHaveText("Zebra crossing");
  await expect(ada.composer).toBeFocused();
  await ada.page.keyboard.press("Control+k");
  await ada.page.keyboard.type("welc");
  await ada.page.keyboard.press("Enter");
  await expect(ada.page.getByRole("heading", { level: 1 })).toHaveText(/welcome/i);
  await expect(ada.composer).toBeFocused();
  await ada.page.keyboard.press("Alt+ArrowDown");
  await expect(ada.page.getByRole("heading", { level: 1 })).toHaveText("Zebra crossing");
});
