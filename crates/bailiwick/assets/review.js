// @ts-check
// Reviewing by keyboard: hunk by hunk, each with the step that made it, remarks where they belong.

import { fill, isTyping } from "./app.js";

class ReviewKeys extends HTMLElement {
  connectedCallback() {
    this.addEventListener("click", (event) => {
      const target = event.target instanceof Element ? event.target.closest("a[data-step]") : null;
      if (target instanceof HTMLElement && target.dataset.step) {
        event.preventDefault();
        this.#choose(target.closest(".hunk"), target.dataset.step);
      }
    });
    document.addEventListener("keydown", this.#key);
    this.#restore();
  }

  disconnectedCallback() {
    document.removeEventListener("keydown", this.#key);
  }

  /** @param {KeyboardEvent} event */
  #key = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
    const hunk = document.activeElement?.closest(".hunk") ?? null;
    switch (event.key) {
      case "j": this.#move(".hunk", 1); break;
      case "k": this.#move(".hunk", -1); break;
      case "n": this.#move(".file", 1); break;
      case "p": this.#move(".file", -1); break;
      case "Enter": if (hunk !== document.activeElement) return; this.#open(hunk); break;
      case "c": this.#comment(hunk); break;
      case "a": this.#decide(); break;
      default: return;
    }
    event.preventDefault();
  };

  /** @param {string} what @param {number} by */
  #move(what, by) {
    const all = /** @type {HTMLElement[]} */ ([...this.querySelectorAll(what)]);
    const at = all.findIndex((one) => one.contains(document.activeElement));
    const next = all[at < 0 ? (by > 0 ? 0 : all.length - 1) : at + by];
    const hunk = next?.matches(".hunk") ? next : next?.querySelector(".hunk");
    if (hunk instanceof HTMLElement) {
      hunk.closest("details")?.setAttribute("open", "");
      hunk.focus({ preventScroll: true });
      hunk.scrollIntoView({ block: "start" });
    }
  }

  /** @param {Element | null} hunk */
  #open(hunk) {
    const steps = hunk instanceof HTMLElement ? (hunk.dataset.steps ?? "").split(" ").filter(Boolean) : [];
    const last = steps[steps.length - 1];
    if (last) this.#choose(hunk, last);
  }

  /** @param {Element | null} hunk @param {string} step */
  #choose(hunk, step) {
    for (const one of this.querySelectorAll(".hunk[data-chosen]")) one.removeAttribute("data-chosen");
    for (const one of this.querySelectorAll(".hunk")) {
      if (one instanceof HTMLElement && (one.dataset.steps ?? "").split(" ").includes(step)) one.setAttribute("data-chosen", "");
    }
    hunk?.setAttribute("data-chosen", "");
    const pane = document.getElementById("step-pane");
    if (pane) {
      void fill(pane, `/parts/steps/${encodeURIComponent(step)}`);
      if (window.innerWidth < 1280) pane.scrollIntoView({ block: "nearest" });
    }
  }

  /** @param {Element | null} hunk */
  #comment(hunk) {
    const form = /** @type {HTMLFormElement | null} */ (document.getElementById("review-form"));
    if (!form || !(hunk instanceof HTMLElement)) return;
    let box = /** @type {HTMLElement | null} */ (hunk.querySelector(".comment-box"));
    if (!box) {
      box = document.createElement("div");
      box.className = "comment-box";
      const label = document.createElement("label");
      const area = document.createElement("textarea");
      area.id = `comment-${hunk.id}`;
      area.setAttribute("form", "review-form");
      area.dataset.where = `${hunk.dataset.path ?? ""} ${hunk.querySelector(".where span")?.textContent ?? ""}`.trim();
      label.htmlFor = area.id;
      label.textContent = "Remark on this hunk (sent with your decision)";
      area.addEventListener("input", () => this.#keep());
      box.append(label, area);
      hunk.append(box);
      form.addEventListener("submit", () => this.#gather(form), { once: true });
    }
    box.querySelector("textarea")?.focus();
  }

  #areas() {
    return /** @type {HTMLTextAreaElement[]} */ ([...this.querySelectorAll(".comment-box textarea")]);
  }

  /** Remarks go into the body, each under the place it is about. @param {HTMLFormElement} form */
  #gather(form) {
    const body = form.querySelector("textarea[name=body]");
    if (!(body instanceof HTMLTextAreaElement)) return;
    const remarks = this.#areas().filter((area) => area.value.trim()).map((area) => `${area.dataset.where}:\n${area.value.trim()}`);
    body.value = [body.value.trim(), ...remarks].filter(Boolean).join("\n\n");
    sessionStorage.removeItem(location.pathname);
  }

  #keep() {
    const kept = Object.fromEntries(this.#areas().map((area) => [area.id.slice(8), area.value]));
    sessionStorage.setItem(location.pathname, JSON.stringify(kept));
  }

  #restore() {
    /** @type {Record<string, string>} */
    const kept = JSON.parse(sessionStorage.getItem(location.pathname) ?? "{}");
    for (const [id, text] of Object.entries(kept)) {
      const hunk = document.getElementById(id);
      if (!hunk || !text) continue;
      this.#comment(hunk);
      const area = hunk.querySelector("textarea");
      if (area) area.value = text;
    }
    if (Object.keys(kept).length) /** @type {HTMLElement | null} */ (document.activeElement)?.blur();
  }

  #decide() {
    const body = document.getElementById("body");
    document.getElementById("decide")?.scrollIntoView({ block: "start" });
    body?.focus({ preventScroll: true });
  }
}

customElements.define("review-keys", ReviewKeys);
