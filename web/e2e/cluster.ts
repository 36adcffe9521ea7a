import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { freePorts, Server } from "./server";

const repository = fileURLToPath(new URL("../..", import.meta.url));

/** On a machine that does other things too; usual are 10 s for Cassandra and 5 s for the nodes. */
const START_MS = 180_000;

/** Two nodes on a Redis and a Cassandra of their own. */
export class Cluster {
  readonly nodes: Server[] = [];
  readonly #services: Service[];

  private constructor(services: Service[]) {
    this.#services = services;
  }

  static async start(): Promise<Cluster> {
    const [redisPort, [cqlPort, storagePort]] = [(await freePorts())[0], await freePorts()];
    const host = "127.0.0.1";
    const services = [
      new Service(redisPort, (folder) => [
        "scripts/while-held",
        ...["10", "scripts/cluster/redis", folder, `${redisPort}`],
      ]),
      new Service(cqlPort, (folder) => [
        "scripts/cassandra/start",
        ...[folder, host, `${cqlPort}`, `${storagePort}`, `${host}:${storagePort}`],
      ]),
    ];
    const settings = {
      REDIS__URL: `redis://${host}:${redisPort}`,
      CASSANDRA__NODES: `${host}:${cqlPort}`,
      CASSANDRA__REPLICATION: "1",
    };
    const cluster = new Cluster(services);
    try {
      for (const service of services) await service.listens();
      for (let count = 0; count < 2; count++) {
        cluster.nodes.push(await Server.start({ settings, readyMs: START_MS }));
      }
      return cluster;
    } catch (error) {
      await cluster.end();
      throw error;
    }
  }

  /** Ends all of it. */
  async end(): Promise<void> {
    for (const node of this.nodes) await node.end();
    for (const service of this.#services) await service.end();
  }
}

/** A server behind the nodes: it ends with the pipe that holds it, however this process ends. */
class Service {
  readonly #port: number;
  readonly #folder = mkdtempSync(join(tmpdir(), "bobchat-e2e-"));
  readonly #child: ChildProcess;
  #said = "";

  constructor(port: number, command: (folder: string) => string[]) {
    this.#port = port;
    const [program = "", ...words] = command(this.#folder);
    this.#child = spawn(resolve(repository, program), words, {
      cwd: repository,
      stdio: ["pipe", "ignore", "pipe"],
    });
    this.#child.stderr?.on("data", (bytes) => {
      this.#said = `${this.#said}${bytes}`.slice(-2_000);
    });
  }

  /** Waits until it takes connections. */
  async listens(): Promise<void> {
    const deadline = Date.now() + START_MS;
    while (!(await this.#isThere())) {
      if (this.#child.exitCode !== null || Date.now() > deadline)
        throw new Error(`nothing listens on port ${this.#port}; scripts/need redis cassandra? ${this.#said}`);
      await new Promise((wake) => setTimeout(wake, 100));
    }
  }

  async end(): Promise<void> {
    const gone = this.#child.exitCode === null ? once(this.#child, "exit") : undefined;
    this.#child.stdin?.end();
    await gone;
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #isThere(): Promise<boolean> {
    const socket = connect(this.#port, "127.0.0.1");
    const isThere = await new Promise<boolean>((say) => {
      socket.once("connect", () => say(true)).once("error", () => say(false));
    });
    socket.destroy();
    return isThere;
  }
}
