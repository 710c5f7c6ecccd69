// @ts-check
// What every page has: times in the viewer's zone, questions before what can't be undone, parts
// that load when they are opened, and the list of keys.

import "./trace.js";
import "./review.js";
import "./proof.js";

/** @param {ParentNode} root */
export function localTimes(root) {
  const format = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
  for (const time of root.querySelectorAll("time[datetime]:not([data-local])")) {
    const at = new Date(/** @type {HTMLTimeElement} */ (time).dateTime);
    if (!Number.isNaN(at.valueOf())) {
      time.textContent = format.format(at);
      time.setAttribute("data-local", "");
    }
  }
}

/**
 * A part of a page from the server. What comes is our own HTML, escaped there; the content
 * security policy keeps anything else in it from running.
 * @param {string} path
 */
export async function part(path) {
  const response = await fetch(path, { headers: { "x-part": "1" } });
  if (!response.ok) throw new Error(`the server answered ${response.status}`);
  const template = document.createElement("template");
  template.innerHTML = await response.text();
  localTimes(template.content);
  return template.content;
}

/** @param {Element} target @param {string} path */
export async function fill(target, path) {
  target.setAttribute("aria-busy", "true");
  try {
    target.replaceChildren(await part(path));
  } catch (error) {
    const note = document.createElement("p");
    note.className = "note bad";
    note.textContent = `This could not be loaded: ${error instanceof Error ? error.message : error}`;
    target.replaceChildren(note);
  }
  target.removeAttribute("aria-busy");
}

document.addEventListener("toggle", (event) => {
  const details = event.target;
  if (!(details instanceof HTMLDetailsElement) || !details.open) return;
  const path = details.dataset.load;
  const target = details.querySelector(":scope > p");
  if (path && target) {
    delete details.dataset.load;
    const box = document.createElement("div");
    target.replaceWith(box);
    void fill(box, path);
  }
}, true);

document.addEventListener("submit", (event) => {
  const button = event.submitter;
  const question = button instanceof HTMLElement ? button.dataset.confirm : undefined;
  if (question && !window.confirm(question)) event.preventDefault();
});

const KEYS = [
  ["?", "this list"], ["g then h, t, r, v, p, a", "go to home, tasks, reviews, approvals, policy, audit"],
  ["j, k", "next, previous hunk"], ["n, p", "next, previous file"],
  ["Enter", "the step that made the hunk"], ["c", "comment on the hunk"], ["a", "your decision"],
];

function showKeys() {
  let dialog = /** @type {HTMLDialogElement | null} */ (document.querySelector("dialog#keys"));
  if (!dialog) {
    dialog = document.createElement("dialog");
    dialog.id = "keys";
    dialog.setAttribute("aria-labelledby", "keys-title");
    const title = document.createElement("h2");
    title.id = "keys-title";
    title.textContent = "Keys";
    const list = document.createElement("dl");
    list.className = "facts";
    for (const [key, what] of KEYS) {
      const dt = document.createElement("dt");
      const kbd = document.createElement("kbd");
      kbd.textContent = key ?? "";
      dt.append(kbd);
      const dd = document.createElement("dd");
      dd.textContent = what ?? "";
      list.append(dt, dd);
    }
    const form = document.createElement("form");
    form.method = "dialog";
    const close = document.createElement("button");
    close.textContent = "Close";
    form.append(close);
    dialog.append(title, list, form);
    document.body.append(dialog);
  }
  dialog.showModal();
}

/** @param {EventTarget | null} target */
export function isTyping(target) {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|SELECT|TEXTAREA)$/.test(target.tagName));
}

let went = 0;
/** @type {Record<string, string>} */
const PLACES = { h: "/", t: "/tasks", r: "/changes", v: "/approvals", p: "/policy", a: "/audit" };

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
  if (event.key === "?") { showKeys(); event.preventDefault(); return; }
  if (event.key === "g") { went = Date.now(); return; }
  const place = PLACES[event.key];
  if (place && Date.now() - went < 1500) { went = 0; event.stopImmediatePropagation(); location.assign(place); }
});

localTimes(document);
