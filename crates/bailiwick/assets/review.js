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
    this.addEventListener("click", (event) => {
      const number = event.target instanceof Element ? event.target.closest(".code .n") : null;
      if (number?.textContent) this.#comment(number.closest(".hunk"), number);
    });
    this.addEventListener("input", () => this.#keep());
    this.addEventListener("submit", (event) => {
      const area = event.target instanceof Element ? event.target.querySelector("textarea") : null;
      if (area instanceof HTMLTextAreaElement) this.#keep(area);
    });
    const form = /** @type {HTMLFormElement | null} */ (document.getElementById("review-form"));
    form?.addEventListener("submit", () => this.#gather(form), { once: true });
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

  /** Opens the form for a remark. @param {Element | null} hunk @param {Element | null} [number] */
  #comment(hunk, number = null) {
    const box = hunk?.querySelector("details.comment-box");
    if (!(box instanceof HTMLDetailsElement)) return;
    box.open = true;
    const line = box.querySelector("input[name=line]");
    const side = box.querySelector("select[name=side]");
    if (number && line instanceof HTMLInputElement && side instanceof HTMLSelectElement) {
      line.value = number.textContent ?? "";
      side.value = number.classList.contains("o") ? "old" : "new";
    }
    box.querySelector("textarea")?.focus();
  }

  #areas() {
    return /** @type {HTMLTextAreaElement[]} */ ([...this.querySelectorAll(".comment-box textarea")]);
  }

  /** What was written and not sent is not lost: it goes into the body, under its place. @param {HTMLFormElement} form */
  #gather(form) {
    const body = form.querySelector("textarea[name=body]");
    if (!(body instanceof HTMLTextAreaElement)) return;
    const remarks = this.#areas().filter((area) => area.value.trim()).map((area) => {
      const at = new FormData(area.form ?? undefined);
      return `${at.get("path")}:${at.get("line")} (${at.get("side")}):\n${area.value.trim()}`;
    });
    body.value = [body.value.trim(), ...remarks].filter(Boolean).join("\n\n");
    sessionStorage.removeItem(location.pathname);
  }

  /** @param {HTMLTextAreaElement} [sent] */
  #keep(sent) {
    const kept = Object.fromEntries(this.#areas().filter((area) => area !== sent && area.value).map((area) => [area.id, area.value]));
    sessionStorage.setItem(location.pathname, JSON.stringify(kept));
  }

  #restore() {
    /** @type {Record<string, string>} */
    const kept = JSON.parse(sessionStorage.getItem(location.pathname) ?? "{}");
    for (const [id, text] of Object.entries(kept)) {
      const area = document.getElementById(id);
      if (!(area instanceof HTMLTextAreaElement)) continue;
      area.value = text;
      area.closest("details")?.setAttribute("open", "");
    }
  }

  #decide() {
    const body = document.getElementById("body");
    document.getElementById("decide")?.scrollIntoView({ block: "start" });
    body?.focus({ preventScroll: true });
  }
}

customElements.define("review-keys", ReviewKeys);
