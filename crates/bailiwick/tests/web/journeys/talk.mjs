// A word to the test that started the journey, and a word from it.
import { createInterface } from "node:readline";

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

/** @param {string} word */
export function say(word) {
  process.stdout.write(`${word}\n`);
}

/** @param {string} word */
export async function heard(word) {
  const { value, done } = await lines.next();
  if (done || value !== word) throw new Error(`waited for ${word}, and heard ${value}`);
}
