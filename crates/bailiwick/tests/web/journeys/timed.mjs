// How long pages take in the browser: from the navigation to the first paint, and to all of it
// laid out. Prints rows of a table; the bench `pages` runs it.
import { end, open } from "./browser.mjs";

const [base, link, ...paths] = process.argv.slice(2);
const { browser, page } = await open(base);
await page.goto(base + link);
await page.getByRole("button", { name: "Sign in" }).click();
await page.waitForURL(base + "/");
for (const path of paths) {
  const times = [];
  for (let looks = 0; looks < 5; looks++) {
    await page.goto(base + path);
    times.push(await page.evaluate(async () => {
      await new Promise((done) => requestAnimationFrame(() => setTimeout(done, 0)));
      const laidOut = performance.now();
      const navigation = performance.getEntriesByType("navigation")[0];
      const paint = performance.getEntriesByName("first-contentful-paint")[0];
      return { server: navigation.responseEnd, paint: paint?.startTime ?? 0, laidOut, elements: document.querySelectorAll("*").length };
    }));
  }
  times.sort((a, b) => a.laidOut - b.laidOut);
  const { server, paint, laidOut, elements } = times[2];
  console.log(`| ${path.startsWith("/changes") ? "the change" : "the task"} in Chromium, median of 5: last byte, first paint, all laid out (${elements} elements) | ${server.toFixed(0)}, ${paint.toFixed(0)}, ${laidOut.toFixed(0)} ms |`);
}
await end(browser);
