// The server is killed and started again while a page watches a task: the page connects again by
// itself, and has every step once.
import { end, ensure, open } from "./browser.mjs";
import { heard, say } from "./talk.mjs";

const [base, link, task] = process.argv.slice(2);
const { browser, page } = await open(base);
await page.goto(base + link);
await page.getByRole("button", { name: "Sign in" }).click();
await page.waitForURL(base + "/");
await page.goto(base + task);
await page.locator("#live[data-state=open]").waitFor({ timeout: 60_000 });
const items = () => page.locator("ol.trace > li").evaluateAll((all) => all.map((item) => item.id));
const before = await items();
await page.evaluate(() => { document.body.dataset.kept = "since before"; });
say("watching");
await heard("killed");
await page.locator("#live[data-state=lost]").waitFor({ timeout: 60_000 });
say("lost");
await heard("on");
await page.locator("#live[data-state=open]").waitFor({ timeout: 120_000 });
await page.locator("ol.trace > li", { hasText: "Pull request" }).first().waitFor({ timeout: 120_000 });
await heard("quiet");
await page.waitForTimeout(1_000);
ensure("the page was not loaded again", await page.evaluate(() => document.body.dataset.kept === "since before"));
const live = await items();
ensure("it went on where it was", live.length > before.length && before.every((id) => live.includes(id)));
ensure("no item twice", new Set(live).size === live.length);
await page.reload();
const fresh = await items();
ensure(`nothing is missing: ${fresh.filter((id) => !live.includes(id))}`, JSON.stringify(fresh) === JSON.stringify(live));
await end(browser);
