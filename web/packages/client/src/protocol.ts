// Generated from proto/event.proto and proto/client.proto by proto/tests/typescript.rs. Do not edit:
//   BOBCHAT_REGENERATE=1 cargo test -p bobchat-proto --test typescript
//
// The JSON form of the wire: identifiers and times are strings, absent means unset.

/** A 64-bit identifier, in decimal digits. */
export type Id = string;

/** A time as RFC 3339 with microseconds, in UTC. */
export type Time = string;

/** Who may find and join a room. */
export type RoomKind = "unspecified" | "public" | "private";

/** How much of the past somebody who joins may read. */
export type HistoryVisibility = "unspecified" | "everything" | "from_join";

/** What a member may do in a room. */
export type Role = "unspecified" | "member" | "owner";

/** A place in a room's log. Positions compare by epoch first, then by seq. */
export interface Position {
  /** The unbroken run of the log that seq counts in; from 1. */
  epoch: number;
  /** The sequence: from 1, dense over all events of the room. */
  seq: number;
}

/** What a room's owner can set. */
export interface RoomSettings {
  /** The name shown in lists, 1 to 80 characters. */
  name: string;
  /** One line on what the room is for, at most 250 characters. */
  topic: string;
  /** Who may find and join; fixed when the room is created. */
  kind: RoomKind;
  /** How much of the past those who join may read. */
  history: HistoryVisibility;
}

/** The room came to be; its author is its first member and owner. Always seq 1. */
export interface RoomCreated {
  /** The settings it starts with. */
  settings?: RoomSettings;
}

/** Somebody became a member. */
export interface MemberJoined {
  /** The new member; the event's author is who did it: the member, or who invited them. */
  user: Id;
}

/** Somebody stopped being a member: nothing with a higher seq reaches them. */
export interface MemberLeft {
  /** Who left. */
  user: Id;
}

/** Somebody said something. */
export interface Message {
  /** The text, as it was sent: at most 16 KiB of UTF-8. */
  text: string;
}

/** Settings changed; what is absent stayed as it was. */
export interface SettingsChanged {
  /** The new name. */
  name?: string;
  /** The new topic. */
  topic?: string;
  /** The new rule about the past. */
  history?: HistoryVisibility;
}

/** One entry of a room's log. The same position is the same event for everybody, for ever. */
export interface Event {
  /** The room whose log this stands in. */
  room: Id;
  /** The epoch of its position. */
  epoch: number;
  /** The sequence of its position. */
  seq: number;
  /** When the log took it, strictly increasing in the room. */
  at: Time;
  /** Its identifier, unique in the deployment. */
  id: Id;
  /** Who did it. */
  author: Id;
  /** For a message: how many messages the room had when this one was added, itself included. */
  ordinal?: number;
  /** The author's idempotency key: lets their devices match the event with what they sent. */
  key?: string;
  /**
   * Where it stood first, when a part of the log was lost and it was put back at another place: who may
   * see it, and whether its author was a member, is judged by that. Absent in all other events.
   */
  first?: Position;
  /** The room came to be. */
  created?: RoomCreated;
  /** Somebody became a member. */
  joined?: MemberJoined;
  /** Somebody stopped being a member. */
  left?: MemberLeft;
  /** Somebody said something. */
  message?: Message;
  /** Settings changed. */
  settings?: SettingsChanged;
}

/** Why a client cannot continue from its cursor and must load the newest page instead. */
export type ResetReason = "unspecified" | "too_far_behind" | "new_epoch";

/** A person or a bot, as others see them. */
export interface User {
  /** Their identifier. */
  id: Id;
  /** Their unique name, without the @. */
  handle: string;
  /** The name that they chose to be shown by; not unique. */
  name: string;
}

/** A room as it stands in lists. */
export interface Room {
  /** The room's identifier. */
  id: Id;
  /** Its settings now. */
  settings?: RoomSettings;
  /** The position of its newest event. */
  head?: Position;
  /** How many messages it has. */
  ordinal: number;
  /** How many members it has. */
  member_count: number;
  /** The asker's role; absent when the asker is not a member. */
  role?: Role;
  /** When its newest event was added. */
  changed_at: Time;
}

/** A member of a room. */
export interface Member {
  /** Who. */
  user?: User;
  /** What they may do. */
  role: Role;
  /** Since when they are a member. */
  joined_at: Time;
}

/** What went wrong, in one shape on every interface. */
export interface Error {
  /** Stable code: see docs/protocol.md, "Errors". */
  code: string;
  /** For a person. */
  message: string;
  /** Whether the same request may succeed later. */
  temporary: boolean;
  /** How long to wait before the next try, in milliseconds. */
  retry_after_ms?: number;
  /** The field of the request that is at fault, as a path with dots. */
  field?: string;
}

/** The last position that a client has processed in a room. */
export interface Cursor {
  /** The room. */
  room: Id;
  /** The epoch of the last event processed; 0 together with seq 0 asks for everything. */
  epoch: number;
  /** The seq of the last event processed. */
  seq: number;
}

/** Signs the connection in: the first frame, unless the upgrade carried the token. */
export interface Auth {
  /** The access token. */
  token: string;
  /** Rooms to receive from now on, each from where the client was. */
  cursors: Cursor[];
}

/** Replaces the token of a signed-in connection before it ends. */
export interface AuthRenew {
  /** A newer access token of the same user. */
  token: string;
}

/** Asks whether the connection still works. */
export type Ping = Record<string, never>;

/** Adds a message to a room. */
export interface MessageSend {
  /** The room. */
  room: Id;
  /** The idempotency key: 1 to 64 visible ASCII characters, one a message. A retry carries the same. */
  key: string;
  /** The text: 1 byte to 16 KiB of UTF-8. */
  text: string;
  /**
   * When the key was made, by the client's clock: said with the first attempt alone, and left out by every other. A
   * server that knows that this is the first attempt need not look for others.
   */
  made_at?: Time;
}

/** Reads messages of a room. At most one of before, after and around; none reads the newest. */
export interface MessageHistory {
  /** The room. */
  room: Id;
  /** Messages with a lower seq, newest last. */
  before?: number;
  /** Messages with a higher seq. */
  after?: number;
  /** Messages on both sides of this seq. */
  around?: number;
  /** How many at most: 1 to 200, 50 when absent. */
  limit?: number;
}

/** Reads the event stream of a room after a position. */
export interface RoomEvents {
  /** The room. */
  room: Id;
  /** Events with a higher seq than this. */
  after: number;
  /** How many at most: 1 to 200, 50 when absent. */
  limit?: number;
}

/** Starts to receive a room's events on this connection, from a cursor on. */
export interface Subscribe {
  /** The room. */
  room: Id;
  /** Where the client was. Absent: live events only, from the room's head on. */
  cursor?: Position;
}

/** Stops receiving a room's events on this connection. */
export interface Unsubscribe {
  /** The room. */
  room: Id;
}

/** Says that the user is typing; send it at most every 3 seconds while they are. */
export interface Typing {
  /** The room. */
  room: Id;
}

/** Makes a room, with the asker as its owner. */
export interface RoomCreate {
  /** Its name, 1 to 80 characters. */
  name: string;
  /** What it is for; may be empty. */
  topic: string;
  /** Who may find and join it; public when absent. */
  kind?: RoomKind;
  /** How much of the past those who join may read; everything when absent. */
  history?: HistoryVisibility;
  /** The idempotency key: a repeated request with the same key makes one room. */
  key: string;
}

/** Reads one room. */
export interface RoomGet {
  /** The room. */
  room: Id;
}

/** Lists the asker's rooms, in the order of their identifiers. */
export interface RoomList {
  /** Only rooms with a higher identifier: the last one of the page before. */
  after?: Id;
  /** How many at most: 1 to 200, 50 when absent. */
  limit?: number;
}

/** Finds public rooms by a part of their name. */
export interface RoomSearch {
  /** What the name begins with, any word of it, in any case; empty finds all. */
  query: string;
  /** Only rooms with a higher identifier: the last one of the page before. */
  after?: Id;
  /** How many at most: 1 to 200, 50 when absent. */
  limit?: number;
}

/** Changes settings of a room; what is absent stays as it is. */
export interface RoomUpdate {
  /** The room. */
  room: Id;
  /** The new name. */
  name?: string;
  /** The new topic. */
  topic?: string;
  /** The new rule about the past. */
  history?: HistoryVisibility;
}

/** Makes the asker a member of a public room. Being one already is no error. */
export interface RoomJoin {
  /** The room. */
  room: Id;
}

/** Makes somebody else a member of a room that the asker is a member of. */
export interface RoomInvite {
  /** The room. */
  room: Id;
  /** Who shall become a member. */
  user: Id;
}

/** Ends the asker's membership. Not being a member is no error. */
export interface RoomLeave {
  /** The room. */
  room: Id;
}

/** Lists the members of a room, in the order of their identifiers. */
export interface RoomMembers {
  /** The room. */
  room: Id;
  /** Only members with a higher identifier: the last one of the page before. */
  after?: Id;
  /** How many at most: 1 to 200, 50 when absent. */
  limit?: number;
}

/** Asks which members of a room are connected. */
export interface RoomPresence {
  /** The room. */
  room: Id;
}

/** Reads people by their identifiers. */
export interface UserGet {
  /** Who, at most 200. */
  users: Id[];
}

/** A frame from a client: one request. */
export interface ClientFrame {
  /** Chosen by the client, comes back with the answer. Not 0, and below 2^53. */
  id: number;
  /** Signs the connection in. */
  auth?: Auth;
  /** Replaces the token. */
  auth_renew?: AuthRenew;
  /** Asks whether the connection works. */
  ping?: Ping;
  /** Adds a message. */
  message_send?: MessageSend;
  /** Reads messages. */
  message_history?: MessageHistory;
  /** Starts to receive a room. */
  subscribe?: Subscribe;
  /** Stops receiving a room. */
  unsubscribe?: Unsubscribe;
  /** Says that the user is typing. */
  typing?: Typing;
  /** Makes a room. */
  room_create?: RoomCreate;
  /** Reads one room. */
  room_get?: RoomGet;
  /** Lists the asker's rooms. */
  room_list?: RoomList;
  /** Finds public rooms. */
  room_search?: RoomSearch;
  /** Changes settings. */
  room_update?: RoomUpdate;
  /** Becomes a member. */
  room_join?: RoomJoin;
  /** Makes somebody else a member. */
  room_invite?: RoomInvite;
  /** Stops being a member. */
  room_leave?: RoomLeave;
  /** Lists members. */
  room_members?: RoomMembers;
  /** Asks who is here. */
  room_presence?: RoomPresence;
  /** Reads events after a position. */
  room_events?: RoomEvents;
  /** Reads people. */
  user_get?: UserGet;
}

/** The connection is signed in. */
export interface AuthOk {
  /** Who is signed in. */
  user?: User;
  /** When the token ends; renew it before. */
  expires_at: Time;
  /** The asker's rooms, the first 200 in the order of their identifiers. */
  rooms: Room[];
  /** Whether there are more rooms: ask with room_list. */
  has_more: boolean;
  /** The outcome for each cursor, in their order. */
  subscribed: SubscribeOk[];
}

/** The token was replaced. */
export interface AuthRenewOk {
  /** When the new token ends. */
  expires_at: Time;
}

/** The connection works. */
export interface PingOk {
  /** The server's time. */
  at: Time;
}

/** The message is in the room's log, durably. */
export interface MessageSendOk {
  /** The room. */
  room: Id;
  /** Where it stands. */
  position?: Position;
  /** How many messages the room had with it. */
  ordinal: number;
  /** Its identifier. */
  id: Id;
  /** When the log took it. */
  at: Time;
}

/** A page of messages, oldest first. */
export interface MessageHistoryOk {
  /** The messages, each as the event that added it. */
  messages: Event[];
  /** Who wrote them. */
  users: User[];
  /** Whether there are older messages that the asker may read. */
  has_more_before: boolean;
  /** Whether there are newer messages that the asker may read. */
  has_more_after: boolean;
}

/** A page of events in the order of the log. */
export interface RoomEventsOk {
  /** The events. */
  events: Event[];
  /** Whether there are more that the asker may read. */
  has_more: boolean;
}

/** What came of a subscription. */
export interface SubscribeOk {
  /** The room. */
  room: Id;
  /**
   * The room's head when the subscription was taken. Events up to here that the client has not
   * seen follow, in order, then live events. Absent with an error.
   */
  head?: Position;
  /**
   * Set when the cursor cannot be continued: live events follow from the head on, and the client
   * loads the newest page.
   */
  reset?: ResetReason;
  /** Set when the room cannot be subscribed to; only in answers to cursors of `auth`. */
  error?: Error;
}

/** No more events of the room come on this connection. */
export type UnsubscribeOk = Record<string, never>;

/** The others were told. */
export type TypingOk = Record<string, never>;

/** The room is made. */
export interface RoomCreateOk {
  /** The room. */
  room?: Room;
}

/** One room. */
export interface RoomGetOk {
  /** The room. */
  room?: Room;
}

/** A page of rooms. */
export interface RoomListOk {
  /** The rooms. */
  rooms: Room[];
  /** Whether there are more. */
  has_more: boolean;
}

/** A page of rooms that were found. */
export interface RoomSearchOk {
  /** The rooms. */
  rooms: Room[];
  /** Whether there are more. */
  has_more: boolean;
}

/** The settings are changed. */
export interface RoomUpdateOk {
  /** The room as it is now. */
  room?: Room;
}

/** The asker is a member. */
export interface RoomJoinOk {
  /** The room as it is now. */
  room?: Room;
}

/** The other is a member. */
export interface RoomInviteOk {
  /** The room as it is now. */
  room?: Room;
}

/** The asker is not a member. */
export type RoomLeaveOk = Record<string, never>;

/** A page of members. */
export interface RoomMembersOk {
  /** The members. */
  members: Member[];
  /** Whether there are more. */
  has_more: boolean;
}

/** Who is here. */
export interface RoomPresenceOk {
  /** Members with at least one live connection, at most 1000. */
  users: User[];
  /** How many there are in all. */
  count: number;
}

/** The people that were found. */
export interface UserGetOk {
  /** The people; who does not exist is left out. */
  users: User[];
}

/** A request succeeded. */
export interface Ok {
  /** Signed in. */
  auth?: AuthOk;
  /** Token replaced. */
  auth_renew?: AuthRenewOk;
  /** The connection works. */
  ping?: PingOk;
  /** Message added. */
  message_send?: MessageSendOk;
  /** Messages. */
  message_history?: MessageHistoryOk;
  /** Subscribed. */
  subscribe?: SubscribeOk;
  /** Unsubscribed. */
  unsubscribe?: UnsubscribeOk;
  /** Told. */
  typing?: TypingOk;
  /** Room made. */
  room_create?: RoomCreateOk;
  /** One room. */
  room_get?: RoomGetOk;
  /** The asker's rooms. */
  room_list?: RoomListOk;
  /** Rooms found. */
  room_search?: RoomSearchOk;
  /** Settings changed. */
  room_update?: RoomUpdateOk;
  /** Joined. */
  room_join?: RoomJoinOk;
  /** Invited. */
  room_invite?: RoomInviteOk;
  /** Left. */
  room_leave?: RoomLeaveOk;
  /** Members. */
  room_members?: RoomMembersOk;
  /** Who is here. */
  room_presence?: RoomPresenceOk;
  /** Events. */
  room_events?: RoomEventsOk;
  /** People. */
  user_get?: UserGetOk;
}

/** Somebody is typing; forget it after 6 seconds. */
export interface TypingSignal {
  /** The room. */
  room: Id;
  /** Who. */
  user: Id;
}

/** Somebody of a room came or went. */
export interface PresenceSignal {
  /** The room. */
  room: Id;
  /** Who. */
  user: Id;
  /** Whether they have a live connection. */
  online: boolean;
}

/** The asker's list of rooms changed, on this or another device. */
export interface MembershipSignal {
  /** The room. */
  room?: Room;
  /** Whether the asker is a member now. */
  member: boolean;
}

/**
 * The stream of a room broke off: live events follow from the head on, and the client loads the
 * newest page.
 */
export interface ResetSignal {
  /** The room. */
  room: Id;
  /** The room's head. */
  head?: Position;
  /** Why. */
  reason: ResetReason;
}

/** A frame from the server. */
export interface ServerFrame {
  /** The request that this answers; absent in events and signals. */
  id?: number;
  /** The request succeeded. */
  ok?: Ok;
  /** The request failed; without id: the connection did. */
  error?: Error;
  /** Something happened in a subscribed room. */
  event?: Event;
  /** Somebody is typing. */
  typing?: TypingSignal;
  /** Somebody came or went. */
  presence?: PresenceSignal;
  /** The asker's list of rooms changed. */
  membership?: MembershipSignal;
  /** A room's stream broke off. */
  reset?: ResetSignal;
}

/** Signs up a guest: REST only, it needs no token. */
export interface GuestCreate {
  /** The name to be shown by, 1 to 40 characters. */
  name: string;
}

/** Exchanges a refresh token for the next pair: REST only. */
export interface TokenRefresh {
  /** The newest refresh token of this device. */
  refresh_token: string;
}

/** A pair of tokens. */
export interface TokenGrant {
  /** Who it is for. */
  user?: User;
  /** The access token, a JWT: for REST as a bearer, for the WebSocket in `auth`. */
  access_token: string;
  /** When the access token ends. */
  access_expires_at: Time;
  /** The refresh token: to be used once. */
  refresh_token: string;
}

/** A node of the deployment: REST only, for administrators. */
export interface Node {
  /** Names it among the nodes that run now. */
  id: Id;
  /** The version of its program. */
  version: string;
  /** Where it listens for clients. */
  address: string;
  /** When it was started. */
  started_at: Time;
  /** What it does now; absent when it did not answer in time. */
  status?: NodeStatus;
}

/** What a node does now. */
export interface NodeStatus {
  /** Live connections. */
  connections: number;
  /** Users with a connection there. */
  users: number;
  /** Rooms in its memory. */
  rooms: number;
  /**
   * How long the oldest event that it has taken and that is not in the archive yet has waited, in milliseconds;
   * absent where nothing has to be archived.
   */
  archive_lag_ms?: number;
}

/** Every node that runs now, the one that was asked among them. */
export interface NodeListOk {
  /** In the order of their identifiers. */
  nodes: Node[];
}

/** What each request carries. */
export interface Requests {
  auth: Auth;
  auth_renew: AuthRenew;
  ping: Ping;
  message_send: MessageSend;
  message_history: MessageHistory;
  subscribe: Subscribe;
  unsubscribe: Unsubscribe;
  typing: Typing;
  room_create: RoomCreate;
  room_get: RoomGet;
  room_list: RoomList;
  room_search: RoomSearch;
  room_update: RoomUpdate;
  room_join: RoomJoin;
  room_invite: RoomInvite;
  room_leave: RoomLeave;
  room_members: RoomMembers;
  room_presence: RoomPresence;
  room_events: RoomEvents;
  user_get: UserGet;
}

/** What answers each request. */
export interface Results {
  auth: AuthOk;
  auth_renew: AuthRenewOk;
  ping: PingOk;
  message_send: MessageSendOk;
  message_history: MessageHistoryOk;
  subscribe: SubscribeOk;
  unsubscribe: UnsubscribeOk;
  typing: TypingOk;
  room_create: RoomCreateOk;
  room_get: RoomGetOk;
  room_list: RoomListOk;
  room_search: RoomSearchOk;
  room_update: RoomUpdateOk;
  room_join: RoomJoinOk;
  room_invite: RoomInviteOk;
  room_leave: RoomLeaveOk;
  room_members: RoomMembersOk;
  room_presence: RoomPresenceOk;
  room_events: RoomEventsOk;
  user_get: UserGetOk;
}

/** What each kind of event carries. */
export interface Bodies {
  created: RoomCreated;
  joined: MemberJoined;
  left: MemberLeft;
  message: Message;
  settings: SettingsChanged;
}

/** How a field is given: once, possibly not at all, many times, or as one of several. */
export type Shape = "plain" | "optional" | "list" | "oneof";

/** Every field of every message: its number, its type and its shape. */
export const FIELDS: Record<string, Record<string, readonly [number, string, Shape]>> = {
  Position: {
    epoch: [1, "number", "plain"],
    seq: [2, "number", "plain"],
  },
  RoomSettings: {
    name: [1, "string", "plain"],
    topic: [2, "string", "plain"],
    kind: [3, "RoomKind", "plain"],
    history: [4, "HistoryVisibility", "plain"],
  },
  RoomCreated: {
    settings: [1, "RoomSettings", "optional"],
  },
  MemberJoined: {
    user: [1, "Id", "plain"],
  },
  MemberLeft: {
    user: [1, "Id", "plain"],
  },
  Message: {
    text: [1, "string", "plain"],
  },
  SettingsChanged: {
    name: [1, "string", "optional"],
    topic: [2, "string", "optional"],
    history: [3, "HistoryVisibility", "optional"],
  },
  Event: {
    room: [1, "Id", "plain"],
    epoch: [2, "number", "plain"],
    seq: [3, "number", "plain"],
    at: [4, "Time", "plain"],
    id: [5, "Id", "plain"],
    author: [6, "Id", "plain"],
    ordinal: [7, "number", "optional"],
    key: [8, "string", "optional"],
    first: [9, "Position", "optional"],
    created: [10, "RoomCreated", "oneof"],
    joined: [11, "MemberJoined", "oneof"],
    left: [12, "MemberLeft", "oneof"],
    message: [13, "Message", "oneof"],
    settings: [14, "SettingsChanged", "oneof"],
  },
  User: {
    id: [1, "Id", "plain"],
    handle: [2, "string", "plain"],
    name: [3, "string", "plain"],
  },
  Room: {
    id: [1, "Id", "plain"],
    settings: [2, "RoomSettings", "optional"],
    head: [3, "Position", "optional"],
    ordinal: [4, "number", "plain"],
    member_count: [5, "number", "plain"],
    role: [6, "Role", "optional"],
    changed_at: [7, "Time", "plain"],
  },
  Member: {
    user: [1, "User", "optional"],
    role: [2, "Role", "plain"],
    joined_at: [3, "Time", "plain"],
  },
  Error: {
    code: [1, "string", "plain"],
    message: [2, "string", "plain"],
    temporary: [3, "boolean", "plain"],
    retry_after_ms: [4, "number", "optional"],
    field: [5, "string", "optional"],
  },
  Cursor: {
    room: [1, "Id", "plain"],
    epoch: [2, "number", "plain"],
    seq: [3, "number", "plain"],
  },
  Auth: {
    token: [1, "string", "plain"],
    cursors: [2, "Cursor", "list"],
  },
  AuthRenew: {
    token: [1, "string", "plain"],
  },
  Ping: {
  },
  MessageSend: {
    room: [1, "Id", "plain"],
    key: [2, "string", "plain"],
    text: [3, "string", "plain"],
    made_at: [4, "Time", "optional"],
  },
  MessageHistory: {
    room: [1, "Id", "plain"],
    before: [2, "number", "optional"],
    after: [3, "number", "optional"],
    around: [4, "number", "optional"],
    limit: [5, "number", "optional"],
  },
  RoomEvents: {
    room: [1, "Id", "plain"],
    after: [2, "number", "plain"],
    limit: [3, "number", "optional"],
  },
  Subscribe: {
    room: [1, "Id", "plain"],
    cursor: [2, "Position", "optional"],
  },
  Unsubscribe: {
    room: [1, "Id", "plain"],
  },
  Typing: {
    room: [1, "Id", "plain"],
  },
  RoomCreate: {
    name: [1, "string", "plain"],
    topic: [2, "string", "plain"],
    kind: [3, "RoomKind", "optional"],
    history: [4, "HistoryVisibility", "optional"],
    key: [5, "string", "plain"],
  },
  RoomGet: {
    room: [1, "Id", "plain"],
  },
  RoomList: {
    after: [1, "Id", "optional"],
    limit: [2, "number", "optional"],
  },
  RoomSearch: {
    query: [1, "string", "plain"],
    after: [2, "Id", "optional"],
    limit: [3, "number", "optional"],
  },
  RoomUpdate: {
    room: [1, "Id", "plain"],
    name: [2, "string", "optional"],
    topic: [3, "string", "optional"],
    history: [4, "HistoryVisibility", "optional"],
  },
  RoomJoin: {
    room: [1, "Id", "plain"],
  },
  RoomInvite: {
    room: [1, "Id", "plain"],
    user: [2, "Id", "plain"],
  },
  RoomLeave: {
    room: [1, "Id", "plain"],
  },
  RoomMembers: {
    room: [1, "Id", "plain"],
    after: [2, "Id", "optional"],
    limit: [3, "number", "optional"],
  },
  RoomPresence: {
    room: [1, "Id", "plain"],
  },
  UserGet: {
    users: [1, "Id", "list"],
  },
  ClientFrame: {
    id: [1, "number", "plain"],
    auth: [2, "Auth", "oneof"],
    auth_renew: [3, "AuthRenew", "oneof"],
    ping: [4, "Ping", "oneof"],
    message_send: [10, "MessageSend", "oneof"],
    message_history: [11, "MessageHistory", "oneof"],
    subscribe: [20, "Subscribe", "oneof"],
    unsubscribe: [21, "Unsubscribe", "oneof"],
    typing: [22, "Typing", "oneof"],
    room_create: [30, "RoomCreate", "oneof"],
    room_get: [31, "RoomGet", "oneof"],
    room_list: [32, "RoomList", "oneof"],
    room_search: [33, "RoomSearch", "oneof"],
    room_update: [34, "RoomUpdate", "oneof"],
    room_join: [35, "RoomJoin", "oneof"],
    room_invite: [36, "RoomInvite", "oneof"],
    room_leave: [37, "RoomLeave", "oneof"],
    room_members: [38, "RoomMembers", "oneof"],
    room_presence: [39, "RoomPresence", "oneof"],
    room_events: [40, "RoomEvents", "oneof"],
    user_get: [50, "UserGet", "oneof"],
  },
  AuthOk: {
    user: [1, "User", "optional"],
    expires_at: [2, "Time", "plain"],
    rooms: [3, "Room", "list"],
    has_more: [4, "boolean", "plain"],
    subscribed: [5, "SubscribeOk", "list"],
  },
  AuthRenewOk: {
    expires_at: [1, "Time", "plain"],
  },
  PingOk: {
    at: [1, "Time", "plain"],
  },
  MessageSendOk: {
    room: [1, "Id", "plain"],
    position: [2, "Position", "optional"],
    ordinal: [3, "number", "plain"],
    id: [4, "Id", "plain"],
    at: [5, "Time", "plain"],
  },
  MessageHistoryOk: {
    messages: [1, "Event", "list"],
    users: [2, "User", "list"],
    has_more_before: [3, "boolean", "plain"],
    has_more_after: [4, "boolean", "plain"],
  },
  RoomEventsOk: {
    events: [1, "Event", "list"],
    has_more: [2, "boolean", "plain"],
  },
  SubscribeOk: {
    room: [1, "Id", "plain"],
    head: [2, "Position", "optional"],
    reset: [3, "ResetReason", "optional"],
    error: [4, "Error", "optional"],
  },
  UnsubscribeOk: {
  },
  TypingOk: {
  },
  RoomCreateOk: {
    room: [1, "Room", "optional"],
  },
  RoomGetOk: {
    room: [1, "Room", "optional"],
  },
  RoomListOk: {
    rooms: [1, "Room", "list"],
    has_more: [2, "boolean", "plain"],
  },
  RoomSearchOk: {
    rooms: [1, "Room", "list"],
    has_more: [2, "boolean", "plain"],
  },
  RoomUpdateOk: {
    room: [1, "Room", "optional"],
  },
  RoomJoinOk: {
    room: [1, "Room", "optional"],
  },
  RoomInviteOk: {
    room: [1, "Room", "optional"],
  },
  RoomLeaveOk: {
  },
  RoomMembersOk: {
    members: [1, "Member", "list"],
    has_more: [2, "boolean", "plain"],
  },
  RoomPresenceOk: {
    users: [1, "User", "list"],
    count: [2, "number", "plain"],
  },
  UserGetOk: {
    users: [1, "User", "list"],
  },
  Ok: {
    auth: [2, "AuthOk", "oneof"],
    auth_renew: [3, "AuthRenewOk", "oneof"],
    ping: [4, "PingOk", "oneof"],
    message_send: [10, "MessageSendOk", "oneof"],
    message_history: [11, "MessageHistoryOk", "oneof"],
    subscribe: [20, "SubscribeOk", "oneof"],
    unsubscribe: [21, "UnsubscribeOk", "oneof"],
    typing: [22, "TypingOk", "oneof"],
    room_create: [30, "RoomCreateOk", "oneof"],
    room_get: [31, "RoomGetOk", "oneof"],
    room_list: [32, "RoomListOk", "oneof"],
    room_search: [33, "RoomSearchOk", "oneof"],
    room_update: [34, "RoomUpdateOk", "oneof"],
    room_join: [35, "RoomJoinOk", "oneof"],
    room_invite: [36, "RoomInviteOk", "oneof"],
    room_leave: [37, "RoomLeaveOk", "oneof"],
    room_members: [38, "RoomMembersOk", "oneof"],
    room_presence: [39, "RoomPresenceOk", "oneof"],
    room_events: [40, "RoomEventsOk", "oneof"],
    user_get: [50, "UserGetOk", "oneof"],
  },
  TypingSignal: {
    room: [1, "Id", "plain"],
    user: [2, "Id", "plain"],
  },
  PresenceSignal: {
    room: [1, "Id", "plain"],
    user: [2, "Id", "plain"],
    online: [3, "boolean", "plain"],
  },
  MembershipSignal: {
    room: [1, "Room", "optional"],
    member: [2, "boolean", "plain"],
  },
  ResetSignal: {
    room: [1, "Id", "plain"],
    head: [2, "Position", "optional"],
    reason: [3, "ResetReason", "plain"],
  },
  ServerFrame: {
    id: [1, "number", "optional"],
    ok: [2, "Ok", "oneof"],
    error: [3, "Error", "oneof"],
    event: [4, "Event", "oneof"],
    typing: [5, "TypingSignal", "oneof"],
    presence: [6, "PresenceSignal", "oneof"],
    membership: [7, "MembershipSignal", "oneof"],
    reset: [8, "ResetSignal", "oneof"],
  },
  GuestCreate: {
    name: [1, "string", "plain"],
  },
  TokenRefresh: {
    refresh_token: [1, "string", "plain"],
  },
  TokenGrant: {
    user: [1, "User", "optional"],
    access_token: [2, "string", "plain"],
    access_expires_at: [3, "Time", "plain"],
    refresh_token: [4, "string", "plain"],
  },
  Node: {
    id: [1, "Id", "plain"],
    version: [2, "string", "plain"],
    address: [3, "string", "plain"],
    started_at: [4, "Time", "plain"],
    status: [5, "NodeStatus", "optional"],
  },
  NodeStatus: {
    connections: [1, "number", "plain"],
    users: [2, "number", "plain"],
    rooms: [3, "number", "plain"],
    archive_lag_ms: [4, "number", "optional"],
  },
  NodeListOk: {
    nodes: [1, "Node", "list"],
  },
};

/** Every enum: its names in the order of their numbers. */
export const ENUMS: Record<string, readonly string[]> = {
  RoomKind: ["unspecified", "public", "private"],
  HistoryVisibility: ["unspecified", "everything", "from_join"],
  Role: ["unspecified", "member", "owner"],
  ResetReason: ["unspecified", "too_far_behind", "new_epoch"],
};

/** Why a request failed: the codes of `Error`, in the order of the documentation. */
export type ErrorCode =
  | "invalid_request"
  | "too_large"
  | "message_too_large"
  | "unauthenticated"
  | "token_expired"
  | "forbidden"
  | "not_a_member"
  | "not_found"
  | "method_not_allowed"
  | "idempotency_conflict"
  | "invalid_cursor"
  | "rate_limited"
  | "busy"
  | "too_many_connections"
  | "room_limit"
  | "unavailable"
  | "unknown"
  | "internal";

/** What a client does when the server has closed its connection. */
export type Reconnect = "at_once" | "after_wait" | "no";

/** Why the server closes a connection: the name and the rule of each code. */
export const CLOSE_CODES: Record<number, readonly [string, Reconnect]> = {
  4000: ["server draining", "at_once"],
  4001: ["internal error", "at_once"],
  4008: ["slow consumer", "at_once"],
  4009: ["no heartbeat", "at_once"],
  4129: ["too many frames", "after_wait"],
  4130: ["too many connections", "after_wait"],
  4401: ["token ended", "no"],
  4403: ["signed out", "no"],
  4406: ["protocol error", "no"],
};

/** Limits of the protocol that a client has to know. */
export const LIMITS = {
  /** A frame before sign-in. */
  frame_bytes_before_auth_max: 4096,
  /** The text of a message in bytes of UTF-8. */
  message_bytes_max: 16384,
  /** The name of a room. */
  room_name_chars_max: 80,
  /** The topic of a room. */
  room_topic_chars_max: 250,
  /** The name of a user. */
  user_name_chars_max: 40,
  /** Items on a page. */
  page_items_max: 200,
  /** Cursors in `auth`. */
  cursors_max: 200,
  /** Users asked for in one `user_get`. */
  user_get_max: 200,
  /** How long an idempotency key is honoured. */
  key_lifetime_ms: 86400000,
  /** Typing is forgotten after this. */
  typing_lifetime_ms: 6000,
} as const;
