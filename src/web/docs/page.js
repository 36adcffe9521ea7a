// Renders the OpenAPI document of this server, and lets one try each operation. Everything is put in as
// text, never as markup; the token stays in this page and ends with it.

const METHODS = ["get", "post", "patch", "put", "delete"];
/** Schemas are shown this deep: deeper than any is, and an end for one that would hold itself. */
const DEPTH_MAX = 12;

const $ = (id) => document.getElementById(id);

/** Makes an element: h("p", { class: "quiet" }, "text", child). */
function h(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== undefined && child !== null));
  return element;
}

function resolve(document, schema) {
  const name = schema?.$ref?.split("/").pop();
  return name ? document.components.schemas[name] : schema;
}

/** An example of a schema: what a body may look like. */
function example(document, schema, depth = 0) {
  const resolved = resolve(document, schema);
  if (!resolved || depth > DEPTH_MAX) return null;
  if (resolved.example !== undefined) return resolved.example;
  if (resolved.enum) return resolved.enum[0];
  if (resolved.allOf) return Object.assign({}, ...resolved.allOf.map((part) => example(document, part, depth + 1)));
  const choices = (resolved.oneOf ?? resolved.anyOf)?.filter((each) => each.type !== "null") ?? [];
  // Of all that can happen in a room, a message is what one wants to see.
  const choice = choices.find((each) => each.properties?.message) ?? choices[0];
  if (choice) return example(document, choice, depth + 1);
  const type = [resolved.type].flat().find((each) => each !== "null");
  switch (type) {
    case "object": {
      const entries = Object.entries(resolved.properties ?? {});
      return Object.fromEntries(entries.map(([key, value]) => [key, example(document, value, depth + 1)]));
    }
    case "array":
      return [example(document, resolved.items, depth + 1)];
    case "integer":
    case "number":
      return 1;
    case "boolean":
      return false;
    default:
      return resolved.format === "date-time" ? "2026-01-31T12:00:00.000000Z" : "";
  }
}

const jsonOf = (content) => content?.["application/json"]?.schema;
const pretty = (value) => JSON.stringify(value, null, 2);

/** The parts of the form of one operation, and how to read them. */
function fields(document, operation) {
  const inputs = (operation.parameters ?? []).map((parameter) => {
    const input = h("input", { "aria-label": parameter.name, required: parameter.required, spellcheck: "false" });
    const name = h("code", {}, parameter.name);
    const kind = h("small", {}, `${parameter.in}${parameter.required ? ", required" : ""}. ${parameter.description ?? ""}`);
    return { parameter, input, row: h("div", { class: "parameter" }, name, input, kind) };
  });
  const schema = jsonOf(operation.requestBody?.content);
  const body = schema && h("textarea", { "aria-label": "Body", spellcheck: "false" });
  if (body) body.value = pretty(example(document, schema));
  return { inputs, body };
}

/** What the form asks for, as a request. */
function request(method, path, { inputs, body }) {
  const query = new URLSearchParams();
  const headers = {};
  let url = path;
  for (const { parameter, input } of inputs) {
    const value = input.value.trim();
    if (parameter.in === "path") url = url.replace(`{${parameter.name}}`, encodeURIComponent(value));
    else if (value === "") continue;
    else if (parameter.in === "query") query.set(parameter.name, value);
    else headers[parameter.name] = value;
  }
  if ($("token").value.trim() !== "") headers.Authorization = `Bearer ${$("token").value.trim()}`;
  if (body) headers["Content-Type"] = "application/json";
  if (query.size > 0) url += `?${query}`;
  return { url, options: { method: method.toUpperCase(), headers, body: body?.value } };
}

const quoted = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

/** The same request for a shell; the token is left out, so that it can be shown to others. */
function curl({ url, options }) {
  const parts = ["curl"];
  if (options.method !== "GET") parts.push("-X", options.method);
  for (const [name, value] of Object.entries(options.headers)) {
    parts.push("-H", name === "Authorization" ? '"Authorization: Bearer $TOKEN"' : quoted(`${name}: ${value}`));
  }
  if (options.body) parts.push("-d", quoted(JSON.stringify(JSON.parse(options.body))));
  return [...parts, quoted(location.origin + url)].join(" ");
}

async function send(asked, shell, answer) {
  answer.classList.remove("bad");
  try {
    shell.textContent = curl(asked);
    const response = await fetch(asked.url, asked.options);
    const text = await response.text();
    answer.textContent = `${response.status} ${response.statusText}\n\n${text && pretty(JSON.parse(text))}`;
    answer.classList.toggle("bad", !response.ok);
  } catch (error) {
    answer.textContent = String(error);
    answer.classList.add("bad");
  }
}

function operationView(document, method, path, operation) {
  const form = fields(document, operation);
  const shell = h("pre");
  const answer = h("pre", { "aria-live": "polite" });
  const [status, success] = Object.entries(operation.responses).find(([code]) => code !== "default") ?? ["", {}];
  const schema = jsonOf(success.content);
  const view = h("form", { class: "operation" },
    h("p", {}, operation.description ?? ""),
    form.inputs.length > 0 ? h("h3", {}, "Parameters") : null,
    ...form.inputs.map(({ row }) => row),
    form.body ? h("h3", {}, "Body") : null, form.body ?? null,
    h("h3", {}, `Answer ${status}`), h("p", {}, success.description ?? ""),
    schema ? h("pre", {}, pretty(example(document, schema))) : null,
    h("button", { class: "send", type: "submit" }, "Try it"), shell, answer);
  view.addEventListener("submit", (event) => {
    event.preventDefault();
    send(request(method, path, form), shell, answer);
  });
  const open = operation.security?.some((scheme) => Object.keys(scheme).length === 0);
  return h("details", { id: operation.operationId },
    h("summary", {},
      h("span", { class: "method" }, method.toUpperCase()), h("span", { class: "path" }, path),
      h("span", { class: "quiet" }, `${operation.summary ?? ""}${open ? " (no token)" : ""}`)),
    view);
}

function render(document) {
  $("about").textContent = `${document.info.description} Version ${document.info.version}.`;
  for (const tag of document.tags) {
    const section = h("section", { id: tag.name.replaceAll(" ", "-") }, h("h2", {}, tag.name), h("p", {}, tag.description));
    for (const [path, item] of Object.entries(document.paths)) {
      for (const method of METHODS.filter((each) => item[each]?.tags?.includes(tag.name))) {
        section.append(operationView(document, method, path, item[method]));
      }
    }
    $("operations").append(section);
    $("contents").append(h("a", { href: `#${section.id}` }, tag.name));
  }
}

async function becomeGuest(event) {
  event.preventDefault();
  const options = { method: "POST", headers: { "Content-Type": "application/json" }, body: '{"name":"API visitor"}' };
  const response = await fetch("/api/v1/guests", options);
  const grant = await response.json();
  $("token").value = grant.access_token ?? "";
  $("who").textContent = response.ok ? `You are @${grant.user.handle}.` : grant.message;
}

$("sign-in").addEventListener("submit", becomeGuest);

try {
  render(await (await fetch("/api/v1/openapi.json")).json());
} catch (error) {
  $("about").textContent = `The description could not be loaded: ${error}`;
}
