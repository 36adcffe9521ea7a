import { Api } from "./api";
import { expect, test } from "./fixtures";
import type { Person } from "./person";

/** What runs where a page takes words for markup. Each calls `ran`, or fetches from elsewhere. */
const MARKUP = [
  "<script>ran()</script>",
  "<script src=//evil.invalid/x.js></script>",
  "<img src=x onerror=ran()>",
  "<svg/onload=ran()>",
  "<svg><script>ran()</script></svg>",
  "<svg><animate onbegin=ran() attributeName=x dur=1s>",
  '<iframe src="javascript:parent.ran()"></iframe>',
  '<iframe srcdoc="<script>parent.ran()</script>"></iframe>',
  "<object data=javascript:ran()></object><embed src=javascript:ran()>",
  "<details open ontoggle=ran()>",
  "<input autofocus onfocus=ran()>",
  "<video><source onerror=ran()></video>",
  "<style>@import '//evil.invalid/x.css';</style>",
  "<link rel=stylesheet href=//evil.invalid/x.css>",
  "<base href=//evil.invalid/><form action=//evil.invalid/><button>",
  "<meta http-equiv=refresh content=0;url=//evil.invalid/>",
  "</textarea></title></script><script>ran()</script>",
  "&lt;script&gt;ran()&lt;/script&gt; \\u003cscript\\u003eran()\\u003c/script\\u003e",
  "{{constructor.constructor('ran()')()}} #{ran()} <%= ran() %>",
  // Nothing when it is read once, markup when that is written out and read again.
  '<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=ran()&gt;">',
  '<noscript><p title="</noscript><img src=x onerror=ran()>">',
  '<svg></p><style><a id="</style><img src=1 onerror=ran()>">',
];

/** What runs, or looks like another place, where a page takes words for addresses or for marks of Markdown. */
const ADDRESSES = [
  "javascript:ran()",
  "JaVaScRiPt:ran()",
  "\u0001javascript:ran()",
  "java\tscript:ran()",
  "javascript&colon;ran()",
  "javascript://https://a.invalid/%0aran()",
  "vbscript:ran()",
  "data:text/html,<script>parent.ran()</script>",
  "file:///etc/passwd blob:null/x view-source:x intent://x",
  "[click](javascript:ran()) [click](<javascript:ran()>)",
  '![x](x" onerror="ran()) [x](https://a.invalid/" onclick="ran())',
  "[x]: javascript:ran()",
  "<javascript:ran()>",
  'https://a.invalid/"onmouseover="ran()',
  "https://a.invalid/'onclick='ran()",
  "https://a.invalid/><img src=x onerror=ran()>",
  "https://a.invalid/?q=<script>ran()</script>",
  "http://javascript:ran()@a.invalid/",
];

/** The same where code is shown. */
const CODE = "```html\n<script>ran()</script>\n```\n`<img src=x onerror=ran()>` ``<b onclick=ran()>``";

/** Notes whatever runs or is tried in the page from now on. */
async function watch(person: Person, url: string): Promise<string[]> {
  const seen: string[] = [];
  await person.page.exposeFunction("ran", () => seen.push("a script ran"));
  await person.page.exposeFunction("violated", (what: string) => seen.push(`a policy held ${what} back`));
  await person.page.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) => {
      (window as unknown as { violated: (what: string) => void }).violated(event.violatedDirective);
    });
  });
  person.page.on("dialog", (dialog) => {
    seen.push(`a dialog said ${dialog.message()}`);
    void dialog.dismiss();
  });
  person.page.on("request", (request) => {
    if (!request.url().startsWith(url)) seen.push(`${request.url()} was asked for`);
  });
  return seen;
}

/** Every element and attribute inside of messages, and every handler anywhere. */
function made(person: Person): Promise<string[]> {
  return person.page.evaluate(() => {
    const names = (element: Element) => element.getAttributeNames();
    const inside = [...document.querySelectorAll(".message-text *")].flatMap((element) => [
      element.localName,
      ...names(element).map((name) => `${element.localName}[${name}]`),
    ]);
    const handlers = [...document.querySelectorAll("*")]
      .flatMap(names)
      .filter((name) => name.startsWith("on"));
    return [...new Set([...inside, ...handlers])].sort();
  });
}

test("nothing that people write runs, loads or becomes markup", async ({ server, browserFor }) => {
  const [ada, bob] = [await browserFor(), await browserFor()];
  const seen = [await watch(ada, server.url), await watch(bob, server.url)];
  await ada.signIn(server.url, "<img src=x onerror=ran()>");
  const eve = await Api.guest(server.url, "<svg/onload=ran()>");
  const room = await eve.createRoom("<script>ran()</script>", '"><img src=x onerror=ran()>');
  await ada.openRoom(room);
  const texts = [MARKUP.join("\n"), ADDRESSES.join("\n"), CODE];
  for (const text of texts) await eve.send(room, text);
  await bob.signIn(server.url, "javascript:ran()");
  await bob.openRoom(room);
  for (const person of [ada, bob]) {
    const shown = person.log.locator(".message-text");
    await expect(shown).toHaveCount(texts.length);
    // As it was written: but for the marks around code, which are shown as code.
    expect((await shown.allTextContents()).slice(0, 2)).toEqual(texts.slice(0, 2));
    expect(await made(person)).toEqual(["a", "a[href]", "a[rel]", "a[target]", "code", "pre"]);
    const links = await person.log.locator(".message-text a").evaluateAll((all) =>
      all.map((link) => {
        const { protocol, hostname } = link as HTMLAnchorElement;
        return `${protocol}//${hostname}`;
      }),
    );
    expect(new Set(links)).toEqual(new Set(["https://a.invalid", "http://a.invalid"]));
    // The names of rooms and people too.
    await expect(person.page.getByRole("heading", { level: 1 })).toHaveText("<script>ran()</script>");
    await expect(person.log.locator(".message-author").first()).toHaveText("<svg/onload=ran()>");
  }
  expect(seen).toEqual([[], []]);
});
