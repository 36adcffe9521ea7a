/** Grey lines where text is about to be. They show after a moment only, so that quick loads do not flash. */
export function Skeleton({ lines, label }: { lines: number; label: string }) {
  return (
    <div className="skeleton" role="status">
      <span className="unseen">{label}</span>
      {Array.from({ length: lines }, (_, line) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: the lines are alike and never move.
        <span key={line} className="skeleton-line" aria-hidden="true" />
      ))}
    </div>
  );
}
