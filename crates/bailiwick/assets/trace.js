// @ts-check
// A timeline that grows while one looks at it. The server sends each changed item whole, under
// the entry that caused it; the browser connects again by itself and says what it has.

import { localTimes } from "./app.js";

class LiveTrace extends HTMLElement {
  /** @type {EventSource | null} */ #source = null;

  connectedCallback() {
    const path = this.getAttribute("src");
    if (!path) return;
    const source = new EventSource(path);
    this.#source = source;
    source.onopen = () => this.#show("open", "live");
    source.onerror = () => this.#show("lost", source.readyState === EventSource.CLOSED ? "not live" : "connecting again");
    source.onmessage = (event) => this.#take(JSON.parse(event.data));
  }

  disconnectedCallback() {
    this.#source?.close();
  }

  /** @param {string} state @param {string} text */
  #show(state, text) {
    const light = document.getElementById("live");
    if (light) {
      light.dataset.state = state;
      light.textContent = text;
    }
  }

  /** @param {{id: string | null, html: string | null, head: string | null}} change */
  #take(change) {
    const atEnd = window.innerHeight + window.scrollY > document.body.scrollHeight - 80;
    if (change.id && change.html) {
      const template = document.createElement("template");
      template.innerHTML = change.html;
      localTimes(template.content);
      const known = document.getElementById(change.id);
      if (!known) this.querySelector("ol.trace")?.append(template.content);
      else if (!known.querySelector("details[open]")) known.replaceWith(template.content);
    }
    const head = document.getElementById("task-head");
    if (head && change.head !== null && !head.contains(document.activeElement)) {
      head.innerHTML = change.head;
      localTimes(head);
    }
    if (atEnd && change.html) window.scrollTo({ top: document.body.scrollHeight });
  }
}

customElements.define("live-trace", LiveTrace);
