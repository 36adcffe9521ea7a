import { type BrowserContext, expect, type Locator, type Page } from "@playwright/test";

/** Somebody at a browser of their own. */
export class Person {
  readonly page: Page;
  readonly context: BrowserContext;

  constructor(page: Page) {
    this.page = page;
    this.context = page.context();
  }

  get composer(): Locator {
    return this.page.locator("#composer");
  }

  get log(): Locator {
    return this.page.getByRole("log");
  }

  get banner(): Locator {
    return this.page.locator(".banner");
  }

  /** Opens the page for the first time and chooses a name; lands in the welcome room. */
  async signIn(url: string, name: string): Promise<void> {
    await this.page.goto(url);
    await this.page.getByLabel("Your name").fill(name);
    await this.page.getByRole("button", { name: "Start chatting" }).click();
    await expect(this.page.getByRole("heading", { level: 1 })).toHaveText(/welcome/i);
    await expect(this.composer).toBeVisible();
  }

  /** Opens a room by its address, joining it if need be. */
  async openRoom(room: string): Promise<void> {
    await this.page.evaluate((id) => {
      window.location.hash = `#/rooms/${id}`;
    }, room);
    const join = this.page.getByRole("button", { name: "Join room" });
    await expect(join.or(this.composer)).toBeVisible();
    if (await join.isVisible()) await join.click();
    await expect(this.composer).toBeVisible();
  }

  /** Opens a room that is not there for them. */
  async openRoomExpectingNothing(room: string): Promise<void> {
    await this.page.evaluate((id) => {
      window.location.hash = `#/rooms/${id}`;
    }, room);
    await expect(this.page.getByRole("heading", { name: "No such room" })).toBeVisible();
  }

  /** The room that the address names. */
  room(): string {
    return /rooms\/(\d+)/.exec(this.page.url())?.[1] ?? "";
  }

  async send(text: string): Promise<void> {
    await this.composer.fill(text);
    await this.composer.press("Enter");
  }

  /** The row of a message. */
  message(text: string): Locator {
    return this.log.getByRole("article").filter({ hasText: text });
  }

  /** Sees a message, once. */
  async sees(text: string): Promise<void> {
    await expect(this.message(text)).toHaveCount(1);
  }

  /** The texts that are loaded, in their order. */
  texts(): Promise<string[]> {
    return this.log.locator(".message-text").allInnerTexts();
  }

  /** The tokens as the page keeps them; `change` is put over them first. */
  tokens(change: { ends_at?: number } = {}): Promise<{ access: string } | null> {
    return this.page.evaluate(
      (changed) =>
        new Promise((resolve, reject) => {
          const opening = indexedDB.open("bobchat", 1);
          opening.onerror = () => reject(opening.error);
          opening.onsuccess = () => {
            const table = opening.result.transaction("tokens", "readwrite").objectStore("tokens");
            const reading = table.get("bobchat.tokens");
            reading.onsuccess = () => {
              const kept = reading.result ? { ...reading.result, ...changed } : null;
              if (kept) table.put(kept, "bobchat.tokens");
              table.transaction.oncomplete = () => {
                opening.result.close();
                resolve(kept);
              };
            };
          };
        }),
      change,
    );
  }

  /** How far the reader is from the end, in pixels. */
  belowTheFold(): Promise<number> {
    return this.log.evaluate((log) => Math.round(log.scrollHeight - log.clientHeight - log.scrollTop));
  }

  /** The first message on the screen, and how far its top is from the top of the log. */
  eye(): Promise<{ text: string; top: number }> {
    return this.log.evaluate((log) => {
      const edge = log.getBoundingClientRect().top;
      const rows = [...log.querySelectorAll("article")];
      const row = rows.find((one) => one.getBoundingClientRect().bottom > edge + 1);
      const text = row?.querySelector(".message-text")?.textContent ?? "";
      return { text, top: Math.round((row?.getBoundingClientRect().top ?? 0) - edge) };
    });
  }

  async scrollBy(pixels: number): Promise<void> {
    await this.log.evaluate((log, by) => log.scrollBy({ top: by, behavior: "instant" }), pixels);
  }
}
