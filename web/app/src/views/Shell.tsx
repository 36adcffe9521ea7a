import { dialogOpened } from "../state/ui";
import { Banner } from "./Banner";
import { Browse } from "./Browse";
import { Conversation } from "./Conversation";
import { CreateRoom } from "./CreateRoom";
import { Help } from "./Help";
import { NARROW, useAppDispatch, useAppSelector, useMedia } from "./hooks";
import { Invite } from "./Invite";
import { NoRoom } from "./NoRoom";
import { Profile } from "./Profile";
import { RoomList } from "./RoomList";
import { Switcher } from "./Switcher";
import { useKeys } from "./useKeys";
import { useTitle } from "./useTitle";

/** The frame: rooms, what is open, and what lies over it. */
export function Shell() {
  const dispatch = useAppDispatch();
  const route = useAppSelector((state) => state.ui.route);
  const narrow = useMedia(NARROW);
  useKeys();
  useTitle();
  const showsList = !narrow || route.page === "rooms";
  const showsMain = !narrow || route.page !== "rooms";
  return (
    <div className="frame">
      <button type="button" className="skip" onClick={toComposer}>
        Skip to the message box
      </button>
      {showsList && <RoomList onHelp={() => dispatch(dialogOpened("help"))} />}
      {showsMain && (
        <div className="main">
          {route.page === "room" && <Conversation key={route.room} room={route.room} />}
          {route.page === "browse" && <Browse />}
          {route.page === "rooms" && <NoRoom />}
        </div>
      )}
      <Banner />
      <Dialogs />
    </div>
  );
}

function Dialogs() {
  const dialog = useAppSelector((state) => state.ui.dialog);
  switch (dialog) {
    case "switcher":
      return <Switcher />;
    case "create":
      return <CreateRoom />;
    case "invite":
      return <Invite />;
    case "help":
      return <Help />;
    case "profile":
      return <Profile />;
    case null:
      return null;
  }
}

function toComposer() {
  document.getElementById("composer")?.focus();
}
