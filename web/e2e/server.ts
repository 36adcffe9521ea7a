import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const web = fileURLToPath(new URL("..", import.meta.url));
const READY_MS = 30_000;

interface Options {
  /** Settings as in the environment, without their prefix. */
  settings?: Record<string, string>;
  /** How long a start may take. */
  readyMs?: number;
}

/** A real server with a data folder of its own; it can be stopped, killed and started again. */
export class Server {
  readonly port: number;
  readonly #adminPort: number;
  readonly #data = mkdtempSync(join(tmpdir(), "bobchat-e2e-"));
  readonly #settings: Record<string, string>;
  readonly #readyMs: number;
  #child: ChildProcess | undefined;

  private constructor(port: number, adminPort: number, { settings = {}, readyMs = READY_MS }: Options) {
    this.port = port;
    this.#adminPort = adminPort;
    const named = Object.entries(settings).map(([key, value]) => [`BOBCHAT__${key}`, value]);
    this.#settings = Object.fromEntries(named);
    this.#readyMs = readyMs;
  }

  /** Starts a server on free ports. */
  static async start(options: Options = {}): Promise<Server> {
    const server = new Server(...(await freePorts()), options);
    try {
      await server.start();
      return server;
    } catch (error) {
      await server.end();
      throw error;
    }
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Starts it, with what it stored before, and waits until it is ready. */
  async start(): Promise<void> {
    const binary = resolve(web, process.env.BOBCHAT_BIN ?? "../target/debug/bobchat");
    const flags = ["--listen", `127.0.0.1:${this.port}`];
    flags.push("--admin-listen", `127.0.0.1:${this.#adminPort}`, "--data", this.#data);
    // Tests write faster than people do.
    const limits = { BOBCHAT__LIMITS__SENDS_BURST: "1000", BOBCHAT__LIMITS__SENDS_PER_SECOND: "1000" };
    const guests = { BOBCHAT__LIMITS__GUESTS_BURST: "1000", BOBCHAT__LIMITS__GUESTS_PER_MINUTE: "1000" };
    const env = { ...process.env, ...limits, ...guests, ...this.#settings };
    this.#child = spawn(binary, flags, { env, stdio: ["ignore", "ignore", "pipe"] });
    let said = "";
    this.#child.stderr?.on("data", (bytes) => {
      said = `${said}${bytes}`.slice(-2_000);
      if (process.env.DEBUG) process.stderr.write(bytes);
    });
    const deadline = Date.now() + this.#readyMs;
    while (!(await this.#isReady())) {
      if (this.#child.exitCode !== null)
        throw new Error(`the server ended with ${this.#child.exitCode}: ${said}`);
      if (Date.now() > deadline)
        throw new Error(`the server is not ready after ${this.#readyMs} ms: ${said}`);
      await new Promise((wake) => setTimeout(wake, 20));
    }
  }

  /** Ends it and waits until it is gone. */
  async stop(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, "exit");
    child.kill(signal);
    await gone;
  }

  /** Ends it for good. */
  async end(): Promise<void> {
    await this.stop("SIGTERM");
    rmSync(this.#data, { recursive: true, force: true });
  }

  async #isReady(): Promise<boolean> {
    const answer = await fetch(`http://127.0.0.1:${this.#adminPort}/readyz`).catch(() => null);
    return answer?.status === 200;
  }
}

/** Two free ports: held at the same time, so that they differ. */
export async function freePorts(): Promise<[number, number]> {
  const probes = [createServer(), createServer()] as const;
  for (const probe of probes) await once(probe.listen(0, "127.0.0.1"), "listening");
  const [one, other] = probes.map((probe) => (probe.address() as AddressInfo).port);
  for (const probe of probes) await once(probe.close(), "close");
  return [one ?? 0, other ?? 0];
}
