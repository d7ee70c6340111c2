// The page's check on numbered messages must itself be right: it is what a newcomer believes.

import assert from "node:assert/strict";
import test from "node:test";
import { Sequence, numbered, parseNumbered } from "../../console/sequence.js";

const counts = ({ received, missing, doubled, disordered }) => ({ received, missing, doubled, disordered });

function heard(...numbers) {
  const sequence = new Sequence();
  sequence.expect("r");
  const verdicts = numbers.map((n) => sequence.take(n, "r"));
  return { ...counts(sequence), verdicts };
}

test("every number once and in order is perfect", () => {
  assert.deepEqual(heard(1, 2, 3), { received: 3, missing: 0, doubled: 0, disordered: 0, verdicts: ["next", "next", "next"] });
});

test("a gap counts what is missing, also before the first", () => {
  assert.deepEqual(heard(3, 6), { received: 2, missing: 4, doubled: 0, disordered: 0, verdicts: ["gap", "gap"] });
});

test("a late number is out of order, no longer missing, and not a double", () => {
  assert.deepEqual(heard(1, 3, 2), { received: 3, missing: 0, doubled: 0, disordered: 1, verdicts: ["next", "gap", "late"] });
});

test("a number that comes twice is a double, late ones included", () => {
  assert.deepEqual(heard(1, 3, 2, 2, 1), { received: 5, missing: 0, doubled: 2, disordered: 1, verdicts: ["next", "gap", "late", "double", "double"] });
});

test("a run that was not announced begins where it is first heard", () => {
  const sequence = new Sequence();
  assert.equal(sequence.take(40, "other"), "next");
  assert.equal(sequence.take(42, "other"), "gap");
  assert.deepEqual(counts(sequence), { received: 2, missing: 1, doubled: 0, disordered: 0 });
});

test("a huge gap is counted in full, though not remembered in full", () => {
  const { missing, verdicts } = heard(5_000_001, 1, 5_000_000);
  assert.equal(missing, 4_999_999);
  assert.deepEqual(verdicts, ["gap", "double", "late"]);
});

test("only the page's own wording is taken for a number", () => {
  assert.deepEqual(parseNumbered(numbered(12, "k3f9x")), { n: 12, run: "k3f9x" });
  for (const other of ["no. 12", "hello", "no. -1 of run a", " no. 1 of run a", "no. 1 of run a\n"]) assert.equal(parseNumbered(other), null, other);
});
