// Starts Chromium for a script, as the tests do.
import { chromium } from "@playwright/test";

export const launch = () =>
  chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
    ],
  });

/** Signs a page in as a new guest and waits for the welcome room. */
export async function signIn(page, url, name) {
  await page.goto(url);
  await page.getByLabel("Your name").fill(name);
  await page.getByRole("button", { name: "Start chatting" }).click();
  await page.locator("#composer").waitFor();
}

/** Opens a room, joining it if need be. */
export async function openRoom(page, room) {
  await page.evaluate((id) => {
    window.location.hash = `#/rooms/${id}`;
  }, room);
  const join = page.getByRole("button", { name: "Join room" });
  await join.or(page.locator("#composer")).first().waitFor();
  if (await join.isVisible()) await join.click();
  await page.locator("#composer").waitFor();
  await page.getByRole("log").getByRole("article").first().waitFor();
}
