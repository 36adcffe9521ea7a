import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";

// Contrast by WCAG 2.2: 4.5:1 for text, 3:1 for marks and the edges of fields.
const TEXT = 4.5;
const MARK = 3;

const PAIRS: readonly (readonly [string, string, number])[] = [
  ["text", "page", TEXT],
  ["text", "chosen", TEXT],
  ["quiet", "page", TEXT],
  ["quiet", "side", TEXT],
  ["quiet", "raised", TEXT],
  ["quiet", "field", TEXT],
  ["quiet", "chosen", TEXT],
  ["accent", "page", TEXT],
  ["accent", "raised", TEXT],
  ["on-accent", "accent", TEXT],
  ["on-accent", "accent-hover", TEXT],
  ["harm", "page", TEXT],
  ["harm", "raised", TEXT],
  ["harm", "chosen", TEXT],
  ["person", "page", TEXT],
  ["person", "person-ground", TEXT],
  ["not-yet", "page", MARK],
  ["here", "page", MARK],
  ["edge", "page", MARK],
  ["edge", "field", MARK],
];

type Colour = readonly [lightness: number, chroma: number, hue: number | "of a person"];

/** The colours of both themes, as the style sheet has them. */
function tokens(): Map<string, readonly [light: Colour, dark: Colour]> {
  const css = readFileSync(new URL("../src/styles/tokens.css", import.meta.url), "utf8");
  const found = new Map<string, readonly [Colour, Colour]>();
  for (const [, name, value] of css.matchAll(/--([\w-]+): light-dark\((.+)\);/g)) {
    const colours = [...value!.matchAll(/oklch\(([\d.]+) ([\d.]+) ([\d.]+|var\(--hue\))\)/g)].map(
      ([, l, c, h]) => [Number(l), Number(c), h!.startsWith("var") ? "of a person" : Number(h)] as const,
    );
    if (colours.length === 2) found.set(name!, [colours[0]!, colours[1]!]);
  }
  return found;
}

/** Relative luminance of a colour in OKLCH, by way of linear sRGB. */
function luminance([lightness, chroma, hue]: readonly [number, number, number]): number {
  const angle = (hue * Math.PI) / 180;
  const a = chroma * Math.cos(angle);
  const b = chroma * Math.sin(angle);
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  const inside = (value: number) => Math.min(1, Math.max(0, value));
  const red = inside(4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s);
  const green = inside(-1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s);
  const blue = inside(-0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s);
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function contrast(one: Colour, other: Colour, hue: number): number {
  const [darker, lighter] = [one, other]
    .map(([l, c, h]) => luminance([l, c, h === "of a person" ? hue : h]))
    .sort((a, b) => a - b);
  return (lighter! + 0.05) / (darker! + 0.05);
}

describe.each([
  ["light", 0],
  ["dark", 1],
] as const)("in the %s theme", (_, theme) => {
  test.each(PAIRS)("%s on %s reaches %d:1", (front, back, least) => {
    const all = tokens();
    const hues = Array.from({ length: 360 }, (_, hue) => hue);
    const worst = Math.min(
      ...hues.map((hue) => contrast(all.get(front)![theme], all.get(back)![theme], hue)),
    );
    expect(worst).toBeGreaterThanOrEqual(least);
  });
});
