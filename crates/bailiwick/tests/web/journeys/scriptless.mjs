// With JavaScript off: sign in, read the difference and the step behind a hunk, remark on a line,
// approve, merge.
import { end, ensure, open } from "./browser.mjs";

const [base, link, change, task] = process.argv.slice(2);
const { browser, page } = await open(base, { javaScriptEnabled: false });

await page.goto(base + link);
await page.getByRole("button", { name: "Sign in" }).click();
await page.waitForURL(base + "/");
await page.goto(base + change);
ensure("the difference is there", (await page.locator(".hunk .l").count()) > 2);
await page.locator(".hunk .where a", { hasText: "step" }).first().click();
await page.waitForURL(/[?]step=\d+/);
ensure("the step is beside it", (await page.locator("#step-pane").innerText()).includes("read") || (await page.locator("#step-pane section").count()) > 0);
await page.getByRole("link", { name: "side by side" }).click();
ensure("both sides are there", (await page.locator(".code.side").count()) > 0);
await page.locator("details.comment-box summary").first().click();
await page.locator("details.comment-box textarea").first().fill("read without scripts");
await page.getByRole("button", { name: "Remark", exact: true }).first().click();
await page.waitForURL(/#t/);
ensure("the remark is in the margin", (await page.locator(".code .thread").innerText()).includes("read without scripts"));
await page.getByRole("button", { name: "Resolve" }).click();
ensure("the thread is resolved", (await page.locator(".thread summary").innerText()).includes("resolved"));
await page.getByRole("button", { name: "Approve" }).click();
await page.getByText("Approved by").waitFor();
await page.getByRole("button", { name: "Merge" }).click();
for (let tries = 0; tries < 240; tries++) {
  await page.goto(base + task);
  if ((await page.locator("#task-head").innerText()).includes("every subtask is merged")) break;
  await page.waitForTimeout(500);
}
ensure("it is merged", (await page.locator("#task-head").innerText()).includes("every subtask is merged"));
await end(browser);
