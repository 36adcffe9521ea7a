import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/** A wire between a browser and the server that a test can cut, and whose answers it can hold back. */
export class Wire {
  readonly #listener: Server;
  readonly #pairs = new Set<{ client: Socket; server: Socket }>();
  #cut = false;
  #mute = false;

  private constructor(target: number) {
    this.#listener = createServer((client) => this.#accept(client, target));
  }

  /** Listens on a free port and carries everything to `target`. */
  static async to(target: number): Promise<Wire> {
    const wire = new Wire(target);
    wire.#listener.listen(0, "127.0.0.1");
    await once(wire.#listener, "listening");
    return wire;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#listener.address() as AddressInfo).port}`;
  }

  /** Ends every connection and takes no new one. */
  cut(): void {
    this.#cut = true;
    for (const { client, server } of this.#pairs) {
      client.destroy();
      server.destroy();
    }
  }

  /** Lets requests pass and drops every answer. */
  mute(): void {
    this.#mute = true;
  }

  /** Works again, for new connections. */
  mend(): void {
    this.#cut = false;
    this.#mute = false;
  }

  end(): void {
    this.cut();
    this.#listener.close();
  }

  #accept(client: Socket, target: number): void {
    if (this.#cut) {
      client.destroy();
      return;
    }
    const server = connect(target, "127.0.0.1");
    const pair = { client, server };
    this.#pairs.add(pair);
    client.on("data", (bytes) => server.write(bytes));
    server.on("data", (bytes) => !this.#mute && client.write(bytes));
    for (const [one, other] of [
      [client, server],
      [server, client],
    ] as const) {
      one.on("error", () => other.destroy());
      one.on("close", () => {
        other.destroy();
        this.#pairs.delete(pair);
      });
    }
  }
}
