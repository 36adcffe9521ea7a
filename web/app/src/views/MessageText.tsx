import { memo } from "react";
import { type Piece, piecesOf } from "../lib/text";

/** A message's text. It is put in as text: nothing that somebody wrote becomes markup. */
export const MessageText = memo(function MessageText({ text }: { text: string }) {
  return (
    <div className="message-text" dir="auto">
      {piecesOf(text).map((piece, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a message's text never changes.
        <PieceView key={index} piece={piece} />
      ))}
    </div>
  );
});

function PieceView({ piece }: { piece: Piece }) {
  switch (piece.kind) {
    case "text":
      return piece.text;
    case "link":
      return (
        <a href={piece.href} target="_blank" rel="noopener noreferrer nofollow">
          {piece.text}
        </a>
      );
    case "code":
      return <code>{piece.text}</code>;
    case "block":
      return (
        <pre>
          <code>{piece.text}</code>
        </pre>
      );
  }
}
