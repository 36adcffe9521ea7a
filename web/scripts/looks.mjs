// Takes a picture of every screen at three widths, light and dark, for a look by eye:
//   node scripts/looks.mjs http://127.0.0.1:8080 [folder]
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { launch, openRoom, signIn } from "./browser.mjs";
import { fill, type } from "./cast.mjs";

const [url = "http://127.0.0.1:8080", folder = "test-results/looks"] = process.argv.slice(2);
const NAMES = [
  "Dorothy Vaughan",
  "Hedy Lamarr",
  "Annie Easley",
  "Barbara Liskov",
  "Radia Perlman",
  "Margaret Hamilton",
];
const SIZES = { phone: [390, 844], tablet: [820, 1180], desk: [1440, 900] };

mkdirSync(folder, { recursive: true });
const { rooms, tokens } = await fill(url);
const garden = rooms.get("garden");
const browser = await launch();

for (const [size, [width, height]] of Object.entries(SIZES)) {
  for (const colorScheme of ["light", "dark"]) {
    const context = await browser.newContext({ viewport: { width, height }, colorScheme, locale: "en-GB" });
    const page = await context.newPage();
    const name = NAMES.shift();
    const shot = (name) => page.screenshot({ path: join(folder, `${name}-${size}-${colorScheme}.png`) });
    await page.goto(url);
    await page.getByLabel("Your name").waitFor();
    await shot("sign-in");
    await signIn(page, url, name);
    await page.waitForTimeout(400);
    await shot("welcome");
    await openRoom(page, garden);
    await page.locator("#composer").fill("I can bring a new filter on Friday");
    await page.keyboard.press("Enter");
    await type(url, tokens.get("Alan Turing"), garden);
    await page.getByText("is typing").waitFor();
    await shot("room");
    await page.getByTitle("Details").click();
    await page.waitForTimeout(400);
    await shot("details");
    await page.keyboard.press("Escape");
    await page.keyboard.press("Control+k");
    await page.waitForTimeout(300);
    await shot("switcher");
    await page.keyboard.press("Escape");
    await page.evaluate(() => {
      window.location.hash = "#/browse";
    });
    await page.getByRole("button", { name: /Join/ }).first().waitFor();
    await shot("browse");
    await page.evaluate(() => {
      window.location.hash = "#/";
    });
    await page.waitForTimeout(200);
    await shot("list");
    await page.getByRole("button", { name: "New room" }).first().click();
    await page.waitForTimeout(300);
    await shot("new-room");
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name }).click();
    await page.waitForTimeout(300);
    await shot("profile");
    await context.close();
  }
}
await browser.close();
