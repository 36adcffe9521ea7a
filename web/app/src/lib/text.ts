/** A piece of a message's text. Everything else than these few marks is shown as it was typed. */
export type Piece =
  | { kind: "text"; text: string }
  | { kind: "link"; text: string; href: string }
  | { kind: "code"; text: string }
  | { kind: "block"; text: string };

const BLOCK = /```(?:[\w+-]*\n)?([\s\S]+?)\n?```/g;
const INLINE = /`([^`\n]+)`|(https?:\/\/[^\s<>"'`]+)/g;

/** Finds code and links. Only http and https become links: no other scheme is safe to click. */
export function piecesOf(text: string): Piece[] {
  const pieces: Piece[] = [];
  let end = 0;
  for (const match of text.matchAll(BLOCK)) {
    pieces.push(...inlinePieces(text.slice(end, match.index).replace(/\n$/, "")));
    pieces.push({ kind: "block", text: match[1] ?? "" });
    end = match.index + match[0].length;
  }
  const rest = text.slice(end);
  pieces.push(...inlinePieces(end > 0 ? rest.replace(/^\n/, "") : rest));
  return pieces;
}

function inlinePieces(text: string): Piece[] {
  const pieces: Piece[] = [];
  let end = 0;
  for (const match of text.matchAll(INLINE)) {
    const [whole, code, address] = match;
    if (match.index > end) pieces.push({ kind: "text", text: text.slice(end, match.index) });
    end = match.index + whole.length;
    if (code !== undefined) pieces.push({ kind: "code", text: code });
    else if (address !== undefined) {
      const link = withoutTrailing(address);
      pieces.push({ kind: "link", text: link, href: link });
      end -= address.length - link.length;
    }
  }
  if (end < text.length) pieces.push({ kind: "text", text: text.slice(end) });
  return pieces;
}

/** A full stop or a closing bracket after an address belongs to the sentence. */
function withoutTrailing(address: string): string {
  const link = address.replace(/[.,;:!?]+$/, "");
  return link.endsWith(")") && !link.includes("(") ? withoutTrailing(link.slice(0, -1)) : link;
}
