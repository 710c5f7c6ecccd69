// Every page that shows what others wrote, with all of the hostile corpus in it: no script runs, no
// request leaves, nothing is made of it but text, and it is really shown.
import { readFileSync } from "node:fs";
import { end, ensure, open, problems } from "./browser.mjs";

const [base, file] = process.argv.slice(2);
const wanted = JSON.parse(readFileSync(file, "utf8"));
const { browser, context, page } = await open(base);

let hits = 0;
let violations = 0;
await context.exposeFunction("hit", () => { hits += 1; });
await context.exposeFunction("violated", () => { violations += 1; });
await context.addInitScript(() => {
  document.addEventListener("securitypolicyviolation", () => globalThis.violated());
});

/** What no page of ours has, so that it can only have come out of a payload. */
const foreign = () => [...document.querySelectorAll([
  "script:not([src^='/assets/'])", "style", "[style]", "iframe", "object", "embed", "base", "img", "image", "video", "audio",
  "picture", "svg", "math", "marquee", "portal", "plaintext", "xmp", "listing", "noscript", "meta[http-equiv]", "area",
  "form:not([action^='/']):not([method='dialog'])", "[formaction]", "[ping]", "[srcdoc]", "[background]", "[popovertarget]",
  "link:not([href^='/assets/']):not([rel=alternate])", "a[href]:not([href^='/']):not([href^='#']):not([href^='?'])", "a[href^='//']",
].join(","))].map((one) => one.outerHTML.slice(0, 200)).concat(
  [...document.querySelectorAll("*")].flatMap((one) => [...one.attributes]
    .filter((attribute) => attribute.name.startsWith("on") || /^\s*(javascript|data|vbscript):/i.test(attribute.value) && attribute.name !== "value")
    .map((attribute) => `${one.tagName} ${attribute.name}=${attribute.value.slice(0, 100)}`)));

// The control: the same detector on a page that writes payloads out as they are.
const careless = await context.newPage();
await careless.route("**/*", (route) => route.fulfill({ contentType: "text/html", body: "" }));
let noticed = 0;
let alone = 0;
for (const text of wanted.payloads) {
  const before = hits;
  let left = 0;
  const leaves = () => { left += 1; };
  careless.on("request", leaves);
  await careless.goto(base + "/nothing").catch(() => undefined);
  left = 0;
  await careless.setContent(`<!doctype html><title>x</title><main><p title="${text}">x</p>${text}</main>`, { waitUntil: "domcontentloaded", timeout: 3000 }).catch(() => undefined);
  const made = await careless.evaluate(foreign).catch(() => ["it went away"]);
  careless.off("request", leaves);
  if (hits > before || left > 0 || made.length > 0) noticed += 1;
  if (hits > before) alone += 1;
}
await careless.close();
// What the careless page did is not ours.
problems.length = 0;
ensure(`a careless page is noticed by most payloads, not only ${noticed} of ${wanted.payloads.length}`, noticed > wanted.payloads.length * 0.6);
ensure(`on a careless page scripts run, not only ${alone}`, alone > 40);
hits = 0;
violations = 0;

/** @type {Map<string, Set<number>>} */
const seen = new Map();
async function look(name) {
  const text = await page.evaluate(() => document.body.textContent + [...document.querySelectorAll("input, textarea")].map((one) => one.value).join("\n"));
  for (const [, field, number] of text.matchAll(/([a-z])(\d{3})z/g)) {
    if (!seen.has(field)) seen.set(field, new Set());
    seen.get(field)?.add(Number(number));
  }
  for (const one of await page.evaluate(foreign)) problems.push(`${name}: made of a payload: ${one}`);
  ensure(`${name}: the title is ours`, (await page.title()).endsWith("· Bailiwick"));
  ensure(`${name}: one main`, (await page.locator("main").count()) <= 1);
}
async function visit(path) {
  await page.goto(base + path);
  await look(path.slice(0, 120));
}

await page.goto(base + wanted.link);
await page.getByRole("button", { name: "Sign in" }).press("Enter");
await page.waitForURL(base + "/");

for (const path of ["/", "/tasks", "/tasks/new", "/changes", "/approvals", "/policy", "/platform", "/audit"]) await visit(path);
await visit(`/tasks/${wanted.task}`);
for (;;) {
  const closed = page.locator("main details:not([open]) > summary");
  const count = await closed.count();
  if (count === 0) break;
  await closed.first().click();
}
await page.waitForFunction(() => !document.querySelector("[aria-busy=true]"));
await look("task, all opened");
for (const view of ["", "?view=split", "?space=ignore"]) {
  await visit(wanted.change + view);
  await page.evaluate(() => document.querySelectorAll("details").forEach((one) => { one.open = true; }));
  await page.waitForFunction(() => !document.querySelector("[aria-busy=true]"));
  await look(`review ${view}, all opened`);
}
const hunks = await page.locator("[data-step]").evaluateAll((all) => [...new Set(all.map((one) => one.dataset.step))]);
for (const step of hunks) await visit(`${wanted.change}?step=${encodeURIComponent(step)}`);
const entries = [];
for (let next = `/audit?task=${wanted.task}`; next; ) {
  await page.goto(base + next);
  const here = await page.locator("tbody a[href^='/audit/']").evaluateAll((all) => all.map((one) => one.getAttribute("href")));
  entries.push(...here.filter((one) => !entries.includes(one)));
  const later = page.locator("main a[rel=next]");
  next = await later.count() ? await later.first().getAttribute("href") : null;
}
ensure("there are entries", entries.length > 20);
for (const entry of entries) await visit(entry);

// What somebody is sent as a link: words of a search, parts of an address, fields of a form.
for (const [at, text] of wanted.payloads.entries()) {
  const word = encodeURIComponent(text);
  await visit(`/tasks?q=${word}&state=${word}&repo=${word}`);
  if (at % 4 === 0) {
    for (const path of [`/audit?name=${word}&task=`, `/changes?q=${word}`, `/tasks/${word}`, `/changes/${word}/1`, `/audit/${word}`, `/sign-in?next=${word}`, `/tasks/new?text=${word}&repo=${word}`, `/${word}`]) {
      await page.goto(base + path);
      for (const one of await page.evaluate(foreign)) problems.push(`${path}: made of a payload: ${one}`);
    }
  }
}

for (const [field, numbers] of Object.entries(wanted.shown)) {
  const missing = numbers.filter((number) => !seen.get(field)?.has(number));
  ensure(`field ${field}: ${missing.length} of ${numbers.length} payloads were never shown, the first are ${missing.slice(0, 5)}`, missing.length === 0);
}
ensure(`${hits} scripts ran`, hits === 0);
ensure(`the content security policy had to stop ${violations} things`, violations === 0);
console.log(`${wanted.payloads.length} payloads in ${seen.size} fields, ${entries.length} entries; ${noticed} noticed on a careless page, scripts of ${alone} ran there`);
await end(browser);
