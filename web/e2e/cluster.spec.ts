import { Api } from "./api";
import { Cluster } from "./cluster";
import { test as base, expect } from "./fixtures";
import type { Server } from "./server";

const test = base.extend<{ cluster: Cluster }>({
  cluster: [
    // biome-ignore lint/correctness/noEmptyPattern: Playwright reads the names of what a fixture needs from here.
    async ({}, use) => {
      const cluster = await Cluster.start();
      await use(cluster);
      await cluster.end();
    },
    // Redis, Cassandra, the tables, two nodes: on a machine that does other things too.
    { timeout: 400_000 },
  ],
});

test.use({ breaksNetwork: true });

test("two people at two nodes chat, and a node that is killed costs nobody a message", async ({
  cluster,
  browserFor,
}) => {
  test.slow();
  const [one, two] = cluster.nodes as [Server, Server];
  const [ada, bob] = [await browserFor(), await browserFor()];
  await ada.signIn(one.url, "Ada");
  await bob.signIn(two.url, "Bob");
  const api = await Api.guest(two.url, "Witness");
  const room = await api.createRoom("Two nodes");
  for (const person of [ada, bob]) await person.openRoom(room);
  await ada.send("from one node");
  await bob.sees("from one node");
  await bob.send("from the other");
  await ada.sees("from the other");

  await one.stop("SIGKILL");
  await ada.send("written while it was away");
  await expect(ada.banner).toContainText("No connection", { timeout: 15_000 });
  // At the other node all goes on.
  await bob.send("meanwhile");
  await bob.sees("meanwhile");
  expect(await api.texts(room)).toEqual(["from one node", "from the other", "meanwhile"]);

  await one.start();
  const retry = ada.page.getByRole("button", { name: "Retry now" });
  if (await retry.isVisible()) await retry.click({ timeout: 2_000 }).catch(() => {});
  const all = ["from one node", "from the other", "meanwhile", "written while it was away"];
  for (const person of [ada, bob]) {
    await expect.poll(() => person.texts(), { timeout: 60_000 }).toEqual(all);
    await expect(person.banner).toBeHidden();
  }
  expect(await api.texts(room)).toEqual(all);
});
