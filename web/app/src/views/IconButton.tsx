import type { LucideIcon } from "lucide-react";
import type { ButtonHTMLAttributes, Ref } from "react";

interface Props extends ButtonHTMLAttributes<HTMLButtonElement> {
  icon: LucideIcon;
  /** What it does: for screen readers and the tooltip. */
  label: string;
  /** The keys that do the same, for the tooltip. */
  keys?: string;
  ref?: Ref<HTMLButtonElement>;
}

/** A button that is an icon, with a name. */
export function IconButton({ icon: Icon, label, keys, className = "", ...rest }: Props) {
  const title = keys ? `${label} (${keys})` : label;
  return (
    <button type="button" className={`icon-button ${className}`} aria-label={label} title={title} {...rest}>
      <Icon size={18} strokeWidth={1.75} aria-hidden="true" />
    </button>
  );
}
