import {
  browserLocks,
  browserTokenStore,
  browserValues,
  Connection,
  createRest,
  Outbox,
  Tokens,
  tabOutboxStore,
  type wire,
} from "@bobchat/client";

/** What outlives the tab. */
export const shared = browserValues(() => window.localStorage);
/** What outlives a reload of this tab alone. */
export const ofTab = browserValues(() => window.sessionStorage);

/** The parts of the client protocol, put together for this page. */
export interface Client {
  tokens: Tokens;
  connection: Connection;
  outbox: Outbox;
}

/** Puts the client together; `cursors` says where the page stands in each room. */
export async function createClient(cursors: () => wire.Cursor[]): Promise<Client> {
  const { origin } = window.location;
  const locks = browserLocks();
  const tokens = await Tokens.open(await browserTokenStore(), locks, createRest(origin));
  const url = `${origin.replace(/^http/, "ws")}/api/v1/ws`;
  const connection = new Connection({ url, tokens, cursors });
  const outbox = new Outbox(tabOutboxStore(shared, ofTab, locks), (message) =>
    connection.ask("message_send", message),
  );
  return { tokens, connection, outbox };
}
