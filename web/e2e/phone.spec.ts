import { expect, test } from "./fixtures";

test("a phone shows one pane at a time, and the way back", async ({ server, browserFor }) => {
  const ada = await browserFor({ phone: true });
  await ada.signIn(server.url, "Ada");
  const list = ada.page.getByRole("navigation", { name: "Rooms" });
  await expect(list).toBeHidden();
  await ada.composer.fill("from a phone");
  // Enter makes a line where there are no other keys; the button sends.
  await ada.page.getByRole("button", { name: "Send" }).click();
  await ada.sees("from a phone");

  await ada.page.getByTitle("Details").click();
  await expect(ada.page.getByRole("complementary")).toBeVisible();
  await expect(ada.composer).toBeHidden();
  await ada.page.getByRole("button", { name: "Close" }).click();
  await expect(ada.composer).toBeVisible();

  await ada.page.getByRole("button", { name: "All rooms" }).click();
  await expect(list).toBeVisible();
  await expect(ada.composer).toBeHidden();
  await list.getByRole("link", { name: /welcome/i }).click();
  await expect(ada.composer).toBeVisible();
  await ada.page.goBack();
  await expect(list).toBeVisible();
});

test("nothing is wider than a narrow phone, whatever people write", async ({ server, browserFor }) => {
  const ada = await browserFor({ phone: true });
  await ada.page.setViewportSize({ width: 320, height: 640 });
  await ada.signIn(server.url, "A".repeat(40));
  const long = `${"x".repeat(300)} https://example.org/${"path".repeat(60)} \`${"code".repeat(60)}\``;
  await ada.composer.fill(long);
  await ada.page.getByRole("button", { name: "Send" }).click();
  await ada.sees("xxx");
  const widths = await ada.page.evaluate(() => {
    const log = document.querySelector(".messages");
    return [document.documentElement.scrollWidth, window.innerWidth, log?.scrollWidth, log?.clientWidth];
  });
  expect(widths[0]).toBe(widths[1]);
  expect(widths[2]).toBe(widths[3]);
});
