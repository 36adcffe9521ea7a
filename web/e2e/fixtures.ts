import { test as base, expect } from "@playwright/test";
import { Person } from "./person";
import { Server } from "./server";
import { Wire } from "./wire";

interface Options {
  /** Whether the test breaks the network, which a browser's console mentions. */
  breaksNetwork: boolean;
}

interface Fixtures {
  /** Makes a browser with nobody signed in. */
  browserFor: (options?: { phone?: boolean }) => Promise<Person>;
  /** A wire that the test may cut. */
  wire: Wire;
}

/** A test with a server; it fails on anything that the console complains about. */
export const test = base.extend<Fixtures & Options, { server: Server }>({
  breaksNetwork: [false, { option: true }],

  server: [
    // biome-ignore lint/correctness/noEmptyPattern: Playwright reads the names of what a fixture needs from here.
    async ({}, use) => {
      const server = await Server.start();
      await use(server);
      await server.end();
    },
    { scope: "worker" },
  ],

  wire: async ({ server }, use) => {
    const wire = await Wire.to(server.port);
    await use(wire);
    wire.end();
  },

  browserFor: async ({ browser, breaksNetwork }, use) => {
    const complaints: string[] = [];
    await use(async ({ phone = false } = {}) => {
      const narrow = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };
      const context = await browser.newContext(phone ? narrow : {});
      const page = await context.newPage();
      page.on("pageerror", (error) => complaints.push(`${error}`));
      page.on("console", (line) => {
        const network = /WebSocket connection|Failed to load resource|net::ERR_/.test(line.text());
        const bad = line.type() === "error" || line.type() === "warning";
        if (bad && !(breaksNetwork && network)) complaints.push(line.text());
      });
      return new Person(page);
    });
    for (const context of browser.contexts()) await context.close();
    expect(complaints, "the console of every browser stays quiet").toEqual([]);
  },
});

export { expect };
