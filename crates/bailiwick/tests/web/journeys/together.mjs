// Two people, each with a browser of their own, watch one task: both see every step as it comes,
// and what one says to the agent the other one sees said.
import { accessible, end, ensure, open, problems } from "./browser.mjs";
import { heard, say } from "./talk.mjs";

const [base, first, second, task] = process.argv.slice(2);
const one = await open(base);
const other = await open(base);
for (const [{ page }, link] of [[one, first], [other, second]]) {
  await page.goto(base + link);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.waitForURL(base + "/");
  await page.goto(base + task);
  await page.locator("#live[data-state=open]").waitFor({ timeout: 60_000 });
}
await accessible(one.page, "task-at-work");
await one.page.getByLabel("Say something to the agent").fill("mind the other one");
await one.page.getByRole("button", { name: "Say it" }).click();
await other.page.locator("ol.trace > li", { hasText: "mind the other one" }).first().waitFor({ timeout: 60_000 });
await one.page.locator("#live[data-state=open]").waitFor({ timeout: 60_000 });
say("watching");
await heard("on");
const items = (page) => page.locator("ol.trace > li").evaluateAll((all) => all.map((item) => item.id));
for (const { page } of [one, other]) {
  await page.locator("ol.trace > li", { hasText: "Pull request" }).first().waitFor({ timeout: 120_000 });
}
await heard("quiet");
await one.page.waitForTimeout(1_000);
const [mine, theirs] = [await items(one.page), await items(other.page)];
ensure("no item twice", new Set(mine).size === mine.length && new Set(theirs).size === theirs.length);
ensure(`both see the same: ${mine.filter((id) => !theirs.includes(id))} ${theirs.filter((id) => !mine.includes(id))}`, JSON.stringify(mine) === JSON.stringify(theirs));
await one.page.reload();
const fresh = await items(one.page);
ensure(`nothing is missing: ${fresh.filter((id) => !mine.includes(id))}`, JSON.stringify(fresh) === JSON.stringify(mine));
await other.browser.close();
void problems;
await end(one.browser);
