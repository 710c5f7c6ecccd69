// A whole review with the keyboard alone: remark on a line, ask for changes, look at what changed
// since, approve, merge.
import { accessible, end, ensure, open } from "./browser.mjs";

const [base, link, repo, task] = process.argv.slice(2);
const { browser, page } = await open(base);
const focused = () => page.evaluate(() => (document.activeElement?.textContent ?? "").trim());

/** Goes on with the tab key until what has the focus says this. */
async function to(word) {
  for (let presses = 0; presses < 200; presses++) {
    if ((await focused()) === word) return;
    await page.keyboard.press("Tab");
  }
  throw new Error(`no way to "${word}" by the tab key`);
}

await page.goto(base + link);
await to("Sign in");
await page.keyboard.press("Enter");
await page.waitForURL(base + "/");
await page.keyboard.press("g");
await page.keyboard.press("r");
await page.waitForURL(base + "/changes");
for (let presses = 0; presses < 60 && !(await focused()).startsWith(`${repo} #1`); presses++) await page.keyboard.press("Tab");
await page.keyboard.press("Enter");
await page.waitForURL(`${base}/changes/${repo}/1`);
await page.keyboard.press("j");
await page.keyboard.press("c");
await page.keyboard.type("Say what it computes.");
await accessible(page, "remark-form");
await to("Remark");
await page.keyboard.press("Enter");
await page.waitForURL(/#t/);
await page.locator(".code .thread", { hasText: "Say what it computes." }).waitFor();
await accessible(page, "remark-thread");
await page.keyboard.press("a");
await to("Ask for changes");
await page.keyboard.press("Enter");
await page.waitForURL(`${base}/changes/${repo}/1`);
const link2 = page.getByRole("link", { name: "What changed since your last review" });
for (let tries = 0; tries < 240 && (await link2.count()) === 0; tries++) {
  await page.waitForTimeout(500);
  await page.goto(`${base}/changes/${repo}/1`);
}
await accessible(page, "review-again");
await to("What changed since your last review");
await page.keyboard.press("Enter");
await page.waitForURL(/\/since$/);
await accessible(page, "since");
ensure("what changed is shown", (await page.locator(".hunk .a").innerText()).includes("# sum"));
await to("The whole of it");
await page.keyboard.press("Enter");
await page.waitForURL(`${base}/changes/${repo}/1`);
await page.keyboard.press("a");
await to("Approve");
await page.keyboard.press("Enter");
await page.getByText("Approved by").waitFor();
await to("Merge");
const merge = page.waitForResponse((response) => response.url().endsWith("/merge"));
await page.keyboard.press("Enter");
await merge;
await page.goto(base + task);
await page.locator("#task-head", { hasText: "every subtask is merged" }).waitFor({ timeout: 120_000 });
await end(browser);
