import type { wire } from "@bobchat/client";
import { createAction } from "@reduxjs/toolkit";

// What a person wants. Views say it; sagas do it.

export const signInWanted = createAction<{ name: string }>("wanted/signIn");
export const signOutWanted = createAction("wanted/signOut");
export const retryWanted = createAction("wanted/retryNow");
export const sendWanted = createAction<{ room: wire.Id; text: string }>("wanted/send");
export const resendWanted = createAction<{ key: string }>("wanted/resend");
export const removeWanted = createAction<{ key: string }>("wanted/remove");
export const typed = createAction<{ room: wire.Id }>("wanted/typing");
/** A room was opened or came on the screen again: what is missing of it is loaded. */
export const roomWanted = createAction<{ room: wire.Id }>("wanted/room");
/** The reader nears the end of what is loaded; `anchor` is the seq of the row that they look at. */
export const olderWanted = createAction<{ room: wire.Id; anchor: number | null }>("wanted/older");
export const newerWanted = createAction<{ room: wire.Id; anchor: number | null }>("wanted/newer");
export const latestWanted = createAction<{ room: wire.Id }>("wanted/latest");
export const joinWanted = createAction<{ room: wire.Id }>("wanted/join");
export const leaveWanted = createAction<{ room: wire.Id }>("wanted/leave");
export const createWanted = createAction<{ name: string; topic: string; kind: wire.RoomKind }>(
  "wanted/create",
);
export const inviteWanted = createAction<{ room: wire.Id; user: wire.Id }>("wanted/invite");
export const browseWanted = createAction<{ query: string }>("wanted/browse");
export const browseMoreWanted = createAction("wanted/browseMore");
/** The details of a room were opened. */
export const membersWanted = createAction<{ room: wire.Id }>("wanted/members");
export const moreMembersWanted = createAction<{ room: wire.Id }>("wanted/moreMembers");
