// Sign in, give a task, watch it live, review it hunk by hunk by keyboard, approve, merge, and
// check its entry in the ledger: one person, one browser.
import { accessible, end, ensure, open } from "./browser.mjs";

const [base, link, repo, task] = process.argv.slice(2);
const { browser, page } = await open(base);

await page.goto(base + link);
await accessible(page, "sign-in");
await page.getByRole("button", { name: "Sign in" }).press("Enter");
await page.waitForURL(base + "/");
await accessible(page, "home-empty");

await page.goto(base + "/tasks/new");
await accessible(page, "new-task");
await page.getByLabel("What is to be done").fill(task);
await page.getByLabel("Repository").selectOption(repo);
await page.getByRole("button", { name: "Give the task" }).press("Enter");
await page.waitForURL(/\/tasks\/[0-9a-f-]{36}$/);
const taskPage = page.url();

// Live: what the page shows without a reload.
await page.locator("#live[data-state=open]").waitFor({ timeout: 60_000 });
await page.locator("ol.trace li", { hasText: "Pull request" }).first().waitFor({ timeout: 120_000 });
ensure("the stages move while one watches", await page.locator("ol.stages li.done").count() >= 4);
const live = await page.locator("ol.trace > li").evaluateAll((items) => items.map((item) => item.id));
ensure("no item twice", new Set(live).size === live.length);
await accessible(page, "task");
await page.locator("ol.trace li.step details summary").first().press("Enter");
await page.locator("ol.trace li.step details section").first().waitFor();
await accessible(page, "task-open");

await page.goto(base + `/changes/${repo}/1`);
await accessible(page, "review");
await page.keyboard.press("j");
ensure("j goes to a hunk", await page.evaluate(() => document.activeElement?.classList.contains("hunk") ?? false));
await page.keyboard.press("Enter");
await page.locator("#step-pane section").waitFor();
ensure("the step is that of the hunk", (await page.locator("#step-pane").innerText()).includes("file write"));
await page.keyboard.press("c");
await page.keyboard.type("Well done.");
await page.keyboard.press("Escape");
await page.reload();
ensure("a remark outlives a reload", (await page.locator(".comment-box textarea").inputValue()) === "Well done.");
await accessible(page, "review-remark");
await page.goto(base + `/changes/${repo}/1?view=split`);
await accessible(page, "review-split");
await page.locator("body").press("?");
await page.locator("dialog#keys[open]").waitFor();
await accessible(page, "keys");
await page.keyboard.press("Escape");
await page.keyboard.press("a");
await page.keyboard.press("Tab");
ensure("the next stop is the approval", (await page.evaluate(() => document.activeElement?.textContent)) === "Approve");
await page.keyboard.press("Enter");
await page.getByText("Approved by").waitFor();
// Whoever leaves before the form is sent has merged nothing.
const sent = page.waitForResponse((response) => response.request().method() === "POST");
await page.getByRole("button", { name: "Merge" }).press("Enter");
await sent;
await page.goto(taskPage);
await page.locator("#task-head", { hasText: "every subtask is merged" }).waitFor({ timeout: 120_000 });

await page.goto(base + "/audit?name=merged");
await accessible(page, "audit");
await page.locator("tbody a").first().press("Enter");
await page.locator("ledger-proof .note").waitFor();
ensure("the proof holds in the browser", (await page.locator("ledger-proof .note.good").count()) === 1);
await accessible(page, "entry");

for (const [name, path] of [["home", "/"], ["tasks", "/tasks"], ["tasks-none", "/tasks?q=nothing-like-that"],
  ["reviews", "/changes"], ["approvals", "/approvals"], ["policy", "/policy"], ["platform", "/platform"], ["not-found", "/audit/999999"]]) {
  await page.goto(base + path);
  await accessible(page, name);
  const levels = await page.locator("h1, h2, h3").evaluateAll((all) => all.map((one) => Number(one.tagName[1])));
  ensure(`${name}: one first heading, none skipped`, levels.filter((level) => level === 1).length === 1
    && levels.every((level, at) => at === 0 || level <= levels[at - 1] + 1));
  ensure(`${name}: one main`, (await page.locator("main").count()) === 1);
}
await page.goto(base + "/");
await page.keyboard.press("g");
await page.keyboard.press("t");
await page.waitForURL(base + "/tasks");
await end(browser);
