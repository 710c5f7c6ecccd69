// @ts-check
// The proof of one ledger entry, computed on the reader's machine: RFC 6962 hashing over the path
// that the server gave, up to the root in the signed checkpoint. The server can't make this come
// out right for an entry that is not in the tree it signed.

/** @param {Uint8Array[]} parts */
async function sha256(...parts) {
  const whole = new Uint8Array(parts.reduce((sum, one) => sum + one.length, 0));
  let at = 0;
  for (const one of parts) { whole.set(one, at); at += one.length; }
  return new Uint8Array(await crypto.subtle.digest("SHA-256", whole));
}

/** @param {string} text */
function base64(text) {
  return Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
}

/** @param {Uint8Array} a @param {Uint8Array} b */
function same(a, b) {
  return a.length === b.length && a.every((byte, at) => byte === b[at]);
}

/** A hash as the server writes it: base64 or hexadecimal. @param {string} text */
function hash(text) {
  if (/^[0-9a-f]{64}$/.test(text)) return Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));
  return base64(text);
}

/**
 * RFC 9162, section 2.1.3.2: the root that an inclusion proof leads to.
 * @param {Uint8Array} leaf @param {bigint} index @param {bigint} size @param {Uint8Array[]} path
 */
async function rootOf(leaf, index, size, path) {
  if (index >= size) throw new Error("the entry is not below the size of the tree");
  let fn = index, sn = size - 1n, r = leaf;
  const one = Uint8Array.of(1);
  for (const sibling of path) {
    if (sn === 0n) throw new Error("the path is too long");
    if (fn % 2n === 1n || fn === sn) {
      r = await sha256(one, sibling, r);
      while (fn % 2n === 0n && fn !== 0n) { fn /= 2n; sn /= 2n; }
    } else {
      r = await sha256(one, r, sibling);
    }
    fn /= 2n; sn /= 2n;
  }
  if (sn !== 0n) throw new Error("the path is too short");
  return r;
}

class LedgerProof extends HTMLElement {
  async connectedCallback() {
    const note = document.createElement("p");
    note.setAttribute("role", "status");
    try {
      const response = await fetch(this.getAttribute("src") ?? "");
      const proof = await response.json();
      const [origin, size, root] = String(proof.checkpoint).split("\n");
      if (BigInt(size ?? "0") !== BigInt(proof.size)) throw new Error("the checkpoint is of another size");
      const computed = await rootOf(hash(proof.leaf), BigInt(proof.index), BigInt(proof.size), proof.path.map(hash));
      if (!same(computed, base64(root ?? ""))) throw new Error("the path does not lead to the signed root");
      note.className = "note good";
      note.textContent = `Checked in your browser: entry ${proof.index} is in the tree of ${proof.size} entries that ${origin} signed. Compare root ${root} with a checkpoint that you kept.`;
    } catch (error) {
      note.className = "note bad";
      note.textContent = `NOT proved: ${error instanceof Error ? error.message : error}`;
    }
    this.prepend(note);
  }
}

customElements.define("ledger-proof", LedgerProof);
