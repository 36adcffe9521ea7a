/** A person who uses the REST interface: to fill rooms, and to see what the server really has. */
export class Api {
  readonly #url: string;
  readonly #token: string;

  private constructor(url: string, token: string) {
    this.#url = url;
    this.#token = token;
  }

  static async guest(url: string, name: string): Promise<Api> {
    const answer = await fetch(`${url}/api/v1/guests`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ name }),
    });
    const grant = (await answer.json()) as { access_token: string };
    return new Api(url, grant.access_token);
  }

  async createRoom(name: string, topic = ""): Promise<string> {
    const { room } = await this.#call<{ room: { id: string } }>("POST", "/rooms", { name, topic });
    return room.id;
  }

  async join(room: string): Promise<void> {
    await this.#call("POST", `/rooms/${room}/join`, {});
  }

  async send(room: string, text: string): Promise<void> {
    await this.#call("POST", `/rooms/${room}/messages`, { text });
  }

  /** Every text of a room, oldest first. */
  async texts(room: string): Promise<string[]> {
    const texts: string[] = [];
    for (let after = 0, more = true; more; ) {
      const page = await this.#call<{
        messages: { seq: number; message: { text: string } }[];
        has_more_after: boolean;
      }>("GET", `/rooms/${room}/messages?after=${after}&limit=200`);
      texts.push(...page.messages.map(({ message }) => message.text));
      after = page.messages.at(-1)?.seq ?? after;
      more = page.has_more_after;
    }
    return texts;
  }

  async #call<T>(method: string, path: string, body?: unknown): Promise<T> {
    const headers: Record<string, string> = { authorization: `Bearer ${this.#token}` };
    if (body !== undefined) {
      headers["content-type"] = "application/json";
      headers["idempotency-key"] = crypto.randomUUID();
    }
    const init = { method, headers, ...(body !== undefined && { body: JSON.stringify(body) }) };
    const answer = await fetch(`${this.#url}/api/v1${path}`, init);
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
    return (await answer.json()) as T;
  }
}
