/**
 * Bobchat's client protocol for browsers, without a view: the connection and its comings back, the tokens,
 * the outbox, and the windows of rooms as pure functions.
 */
export { Connection, type ConnectionOptions, type Status } from "./connection";
export { Emitter } from "./emitter";
export { NoAnswerError, RequestError, SignedOutError, wordsFor } from "./errors";
export { newKey } from "./key";
export { browserLocks, type Locks } from "./locks";
export { Outbox, type OutboxEntry } from "./outbox";
export { type OutboxStore, tabOutboxStore } from "./outbox_store";
export type * as wire from "./protocol";
export { LIMITS } from "./protocol";
export type { Ask } from "./requests";
export { createRest, type Rest } from "./rest";
export { browserValues, type KeyValues, memoryValues, readJson, writeJson } from "./storage";
export { browserTokenStore, memoryTokenStore, type TokenStore } from "./token_store";
export { Tokens } from "./tokens";
export * from "./window";
