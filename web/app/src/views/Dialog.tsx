import { X } from "lucide-react";
import { type ReactNode, useEffect, useId, useRef } from "react";
import { dialogClosed } from "../state/ui";
import { useAppDispatch } from "./hooks";
import { IconButton } from "./IconButton";

interface Props {
  title: string;
  /** Without a visible title and close button: for a dialog that is one field. */
  bare?: boolean;
  children: ReactNode;
}

/** A modal dialog. The browser keeps the focus inside, gives it back at the end, and closes it on Escape. */
export function Dialog({ title, bare = false, children }: Props) {
  const dispatch = useAppDispatch();
  const ref = useRef<HTMLDialogElement>(null);
  const titleId = useId();
  useEffect(() => {
    const dialog = ref.current;
    dialog?.showModal();
    return () => dialog?.close();
  }, []);
  const close = () => dispatch(dialogClosed());
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: Escape closes a dialog by itself; the click is on what lies behind it.
    <dialog
      ref={ref}
      className={bare ? "dialog bare" : "dialog"}
      aria-labelledby={titleId}
      onCancel={close}
      onClick={(event) => event.target === ref.current && close()}
    >
      <div className="dialog-body">
        <header className={bare ? "unseen" : "dialog-head"}>
          <h2 id={titleId}>{title}</h2>
          {!bare && <IconButton icon={X} label="Close" keys="Esc" onClick={close} />}
        </header>
        {children}
      </div>
    </dialog>
  );
}
