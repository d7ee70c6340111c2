// What the page says about a change must follow from the two answers it saw, and from nothing else.

import assert from "node:assert/strict";
import test from "node:test";
import { changesBetween, slotsOf } from "../../console/changes.js";

const member = (id, slots, more = {}) => ({ id, roles: ["node"], state: "active", weight: 1, slots, users: 0, sockets: 0, pid: 1, address: "a:1", orchestrator: false, ...more });
const view = (epoch, ...members) => ({ epoch, members });
const texts = (before, after) => changesBetween(before, after).map(({ text }) => text);

const calm = view(3, member("node-1", 4_000), member("node-2", 2_000));

test("nothing changed, nothing said", () => assert.deepEqual(texts(calm, structuredClone(calm)), []));

test("a death and where the slots went", () => {
  assert.deepEqual(texts(calm, view(4, member("node-1", 6_000), member("node-2", 0, { state: "down", pid: 0 }))), [
    "node-2 became down (was active)",
    "epoch 3 → 4: node-1 +2,000, node-2 −2,000",
  ]);
});

test("an arrival, before and after it owns anything", () => {
  const joining = view(4, ...calm.members, member("node-3", 0, { state: "joining" }));
  assert.deepEqual(texts(calm, joining), ["node-3 appeared, joining", "epoch 3 → 4, no slot changed its owner"]);
  const joined = view(5, member("node-1", 2_500), member("node-2", 1_500), member("node-3", 2_000));
  assert.deepEqual(texts(joining, joined), ["node-3 became active (was joining)", "epoch 4 → 5: node-1 −1,500, node-2 −500, node-3 +2,000"]);
});

test("a removed member's slots are accounted for", () => {
  assert.deepEqual(texts(calm, view(4, member("node-1", 6_000))), ["node-2 was removed", "epoch 3 → 4: node-1 +2,000, node-2 −2,000"]);
});

test("a new process under the same id, and a new weight", () => {
  assert.deepEqual(texts(view(3, member("node-1", 10)), view(3, member("node-1", 10, { pid: 2, weight: 2 }))), [
    "node-1 started again, process 1 → 2",
    "node-1's weight 1 → 2",
  ]);
});

test("a process that ended before its member's state says so", () => {
  const alive = view(3, member("node-1", 10));
  const ended = view(3, member("node-1", 10, { pid: 0 }));
  assert.deepEqual(texts(alive, ended), ["node-1's process 1 ended"]);
  assert.deepEqual(texts(ended, alive), ["node-1 has a process again, 1"]);
});

test("every slot is counted once", () => assert.equal(slotsOf(calm), 6_000));
