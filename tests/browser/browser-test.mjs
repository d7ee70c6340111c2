// The page at `/`, driven in a real browser against a running demo.
//
//   node browser-test.mjs 'http://127.0.0.1:PORT/#token=T' [--lossless]
//
// `--lossless` also asserts that no numbered message went missing over the kill. CHROMIUM names the browser (default /usr/bin/chromium);
// SCREENSHOTS names a folder for pictures of the page after the kill, at the end and at a failure.

import assert from "node:assert/strict";
import { chromium } from "playwright-core";

/** Any single wait. Generous, because the machine may be busy: what is held to a time is measured on its own. */
const DEADLINE_MS = 20_000;
/** After a kill, messages to the dead node's users flow again within this. */
const FLOW_AGAIN_MS = 2_000;

const [address, ...flags] = process.argv.slice(2);
if (!address?.includes("#token=")) {
  console.error("usage: node browser-test.mjs 'http://HOST:PORT/#token=T' [--lossless]");
  process.exit(64);
}
const lossless = flags.includes("--lossless");
const { origin } = new URL(address);
const complaints = [];

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
let page = null;
try {
  await refusesAWrongToken();
  page = await open(address);
  await step("the token leaves the address bar", () => page.waitForURL((url) => url.hash === ""));
  await step("members are listed, with a sum of slots", membersAreListed);
  await step("two chat boxes connect and know their owners", chatsConnect);
  await step("they talk to each other", theyTalk);
  await step("a look-up names owner and standby", lookUp);
  await step("they keep talking", keepTalking);
  await step("a killed owner closes no socket, and messages flow again", killAnOwner);
  await step("an added node becomes active and owns slots", addNode);
  await step("a stopped node drains, is down, and can be removed", stopAndRemove);
  await step("after all that: no socket closed, nothing doubled", nothingBroke);
  await step("the page asked nobody else, and nothing complained", () => assert.deepEqual(complaints, []));
  await picture("end");
} catch (error) {
  await picture("failure");
  console.error(error.message);
  process.exitCode = 1;
} finally {
  await browser.close();
}

async function refusesAWrongToken() {
  const token = /#token=([^&]+)/.exec(address)[1];
  page = await open(`${origin}/#token=certainly-wrong`, { expectRefusal: true });
  await step("a wrong token is refused in words", () => page.getByText("refused this token (401)").waitFor());
  await step("the right one is taken from the form", async () => {
    await page.getByLabel("Token", { exact: true }).fill(decodeURIComponent(token));
    await page.getByRole("button", { name: "Use this token" }).click();
    await page.locator("tr[data-member]").first().waitFor();
  });
  await page.context().close();
}

async function membersAreListed() {
  await until("at least two active nodes", () => activeNodes().length >= 2);
  const { total, listed } = await page.evaluate(() => ({
    total: Number(document.querySelector(".middle-number").textContent.replaceAll(",", "")),
    listed: [...document.querySelectorAll(".bar-text")].reduce((sum, cell) => sum + (parseInt(cell.textContent.replaceAll(",", ""), 10) || 0), 0),
  }));
  assert.ok(total > 0, "the ring has slots");
  assert.equal(listed, total, "the table's slots add up to the ring's");
}

async function chatsConnect() {
  await until("both sockets are open", () => document.querySelectorAll('.link[data-state="open"]').length === 2);
  await until("both owners are known", () => [...document.querySelectorAll(".chat")].every((chat) => chat.dataset.owner));
}

async function theyTalk() {
  await chat("alice").locator(".text").fill("hello bob");
  await chat("alice").getByRole("button", { name: "Send" }).click();
  await chat("bob").locator(".messages .theirs", { hasText: "hello bob" }).waitFor();
  await chat("bob").locator(".text").fill("@alice:and hello alice");
  await chat("bob").locator(".text").press("Enter");
  await chat("alice").locator(".messages .theirs", { hasText: "and hello alice" }).waitFor();
}

async function lookUp() {
  await page.getByPlaceholder("carol").fill("carol");
  await page.getByRole("button", { name: "Look up" }).click();
  await page.locator(".facts").getByText("#carol").waitFor();
  const owner = await page.locator(".facts dd").nth(2).innerText();
  assert.ok((await page.locator(`tr[data-member="${owner.trim()}"]`).count()) === 1, `carol's owner ${owner} is a listed member`);
}

async function keepTalking() {
  for (const user of ["alice", "bob"]) await chat(user).locator(".keep").check();
  await until("ten numbers each way", () => ["alice", "bob"].every((user) => heardBy(user) >= 10));
}

async function killAnOwner() {
  const victim = await chat("alice").getAttribute("data-owner");
  await page.getByRole("button", { name: `kill ${victim}`, exact: true }).click();
  await page.locator("#events .act", { hasText: `kill ${victim}: done` }).waitFor({ timeout: DEADLINE_MS });
  const killed = Date.now();
  const said = await page.evaluate(() => countOf("bob", "sent"));
  await until("alice hears what bob said after the kill", ([number]) => heardBy("alice") > number, [said], FLOW_AGAIN_MS);
  console.log(`  ${victim} killed; alice heard again within ${Date.now() - killed} ms of the answer, ${await page.evaluate(() => countOf("alice", "missing"))} missing`);
  await picture("kill");
  await until(`${victim} is listed as down`, ([id]) => stateOf(id) === "down", [victim]);
  await until("alice's box names a living owner", ([id]) => document.querySelector('.chat[data-user="alice"]').dataset.owner !== id, [victim]);
}

async function addNode() {
  const before = await page.evaluate(() => [...document.querySelectorAll("tr[data-member]")].map((row) => row.dataset.member));
  await page.getByRole("button", { name: "Add a node" }).click();
  await until("a new node is active and owns slots", ([known]) => activeNodes().some((row) => !known.includes(row.dataset.member) && slotsOf(row) > 0), [before]);
}

async function stopAndRemove() {
  const id = await page.evaluate(() => activeNodes().at(-1).dataset.member);
  await page.getByRole("button", { name: `stop ${id}`, exact: true }).click();
  await until(`${id} is down`, ([name]) => stateOf(name) === "down", [id]);
  await page.getByRole("button", { name: `remove ${id}`, exact: true }).click();
  await page.locator(`tr[data-member="${id}"]`).waitFor({ state: "detached", timeout: DEADLINE_MS });
}

async function nothingBroke() {
  const heard = await page.evaluate(() => heardBy("alice"));
  await until("messages still flow", ([number]) => heardBy("alice") > number + 5, [heard]);
  for (const user of ["alice", "bob"]) {
    const counts = await page.evaluate((name) => Object.fromEntries(["closed", "missing", "doubled", "disordered", "refused"].map((count) => [count, countOf(name, count)])), user);
    console.log(`  ${user}: ${JSON.stringify(counts)}`);
    assert.equal(counts.closed, 0, `${user}'s socket stayed open`);
    assert.equal(counts.doubled, 0, `nothing reached ${user} twice`);
    assert.equal(counts.disordered, 0, `nothing reached ${user} out of order`);
    if (lossless) assert.equal(counts.missing + counts.refused, 0, `nothing was lost on the way to ${user}`);
  }
  assert.equal(await page.locator("#closes").getAttribute("data-bad"), "false");
}

/** A fresh context, so that no token is left from another. Requests to other hosts and complaints of the browser are written down. */
async function open(url, { expectRefusal = false } = {}) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 1000 } });
  const opened = await context.newPage();
  opened.setDefaultTimeout(DEADLINE_MS);
  opened.on("request", (request) => request.url().startsWith(origin) || complaints.push(`asked ${request.url()}`));
  opened.on("pageerror", (error) => complaints.push(`threw ${error.message}`));
  opened.on("console", (line) => line.type() === "error" && !expectRefusal && complaints.push(`console: ${line.text()}`));
  await opened.addInitScript(() => {
    const box = (user) => document.querySelector(`.chat[data-user="${user}"]`);
    const numberIn = (node) => Number(node.textContent.replaceAll(",", ""));
    Object.assign(globalThis, {
      activeNodes: () => [...document.querySelectorAll("tr[data-member].active")].filter((row) => row.querySelector(".buttons")),
      stateOf: (id) => document.querySelector(`tr[data-member="${id}"]`)?.className,
      slotsOf: (row) => parseInt(row.querySelector(".bar-text").textContent.replaceAll(",", ""), 10) || 0,
      countOf: (user, count) => numberIn(box(user).querySelector(`.n-${count}`)),
      heardBy: (user) => Number(/ is at ([\d,]+)/.exec(box(user).querySelector(".counting-text").textContent)?.[1].replaceAll(",", "") ?? 0),
    });
  });
  await opened.goto(url);
  return opened;
}

function chat(user) {
  return page.locator(`.chat[data-user="${user}"]`);
}

/** Waits for a condition inside the page; `argument` is an array passed to it. */
async function until(what, condition, argument = [], timeout = DEADLINE_MS) {
  await page.waitForFunction(condition, argument, { timeout, polling: 20 })
    .catch((error) => { throw new Error(`waited ${timeout} ms in vain: ${what} (${error.message.split("\n")[0]})`); });
}

async function step(name, run) {
  const from = Date.now();
  try {
    await run();
    console.log(`ok    ${name} (${Date.now() - from} ms)`);
  } catch (error) {
    throw new Error(`FAIL  ${name}\n  ${error.message}`);
  }
}

async function picture(name) {
  if (process.env.SCREENSHOTS && page && !page.isClosed()) await page.screenshot({ path: `${process.env.SCREENSHOTS}/browser-${name}.png`, fullPage: true });
}
