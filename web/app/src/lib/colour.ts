/** The hue of a person, from their handle: the same on every screen. */
export function hueOf(handle: string): number {
  let hash = 2_166_136_261;
  for (const byte of new TextEncoder().encode(handle)) hash = Math.imul(hash ^ byte, 16_777_619) >>> 0;
  // Steps of the golden angle keep neighbours apart.
  return Math.round(((hash % 360) * 137.508) % 360);
}

/** The letter that stands for a person: the first grapheme of their name. */
export function initialOf(name: string): string {
  const first = new Intl.Segmenter().segment(name.trim())[Symbol.iterator]().next();
  return first.done ? "?" : first.value.segment.toLocaleUpperCase();
}
