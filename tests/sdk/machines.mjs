// What scripts/machines asks of the cluster that it has spread over network namespaces, with the unmodified npm client `centrifuge`.
//
//   node machines.mjs state SECONDS ID=STATE…   waits until the members are listed like that
//   node machines.mjs well SECONDS HOST:PORT    waits until that gateway reaches everybody
//   node machines.mjs talk SECONDS              publishes at one gateway, listens at the other
//
// Addresses, keys and names are those of docs/operating.md. RINGWAY_STATE names a file that keeps how far the channel was.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { Centrifuge } from "centrifuge";
import WebSocket from "ws";
import { until, usage, within } from "./steps.mjs";

const GATEWAYS = ["10.0.0.1:9888", "10.0.0.4:9888"];
const ADMIN_TOKEN = "known to operators";
const API_KEY = "known to back ends";
const SIGNING_KEY = "what your back end signs the clients' tokens with";
const CHANNEL = "chat:machines";
const COUNT = 50;

const [order, seconds, ...wanted] = process.argv.slice(2);
const orders = { state, well, talk };
await (orders[order] ?? (() => usage("machines.mjs state|well|talk")))();

async function state() {
  const states = new Map(wanted.map((one) => one.split("=")));
  let last = "nothing yet";
  await until(`members are ${wanted.join(" ")}`, async () => {
    const { members } = await admin();
    last = members.map(({ id, state, unsettled }) => `${id} ${state} ${unsettled}`).join(", ");
    return [...states].every(([id, state]) => members.some((member) => member.id === id && member.state === state && member.unsettled === 0));
  }, seconds * 1000).catch(({ message }) => { throw new Error(`${message}; last seen: ${last}`); });
}

async function well() {
  let last;
  await until(`${wanted[0]} is well`, async () => {
    last = await (await fetch(`http://${wanted[0]}/health`)).text();
    const { status, why } = JSON.parse(last);
    return status === "ok" && why.length === 0;
  }, seconds * 1000).catch(({ message }) => { throw new Error(`${message}; it says ${last}`); });
}

/** Numbers from one gateway to the other, and from the server API to both: once each, in order, after what was said before. */
async function talk() {
  const clients = await Promise.all(GATEWAYS.map(listener));
  const before = last();
  const top = clients[0].position;
  if (before) assert.deepEqual({ epoch: top.epoch, offset: top.offset }, before, "nothing acknowledged was lost");
  for (let n = 1; n <= COUNT; n += 1) {
    await within(n % 2 ? clients[0].subscription.publish({ n }) : api("publish", { channel: CHANNEL, data: { n } }), "publish");
  }
  const offsets = Array.from({ length: COUNT }, (_, index) => ({ n: index + 1, offset: top.offset + index + 1 }));
  for (const { heard } of clients) {
    await until("all numbers", () => heard.length >= COUNT);
    assert.deepEqual(heard, offsets);
  }
  writeFileSync(process.env.RINGWAY_STATE, JSON.stringify({ epoch: top.epoch, offset: top.offset + COUNT }));
  clients.forEach(({ centrifuge }) => centrifuge.disconnect());
}

function last() {
  try {
    return JSON.parse(readFileSync(process.env.RINGWAY_STATE, "utf8"));
  } catch {
    return undefined;
  }
}

async function listener(gateway) {
  const options = { websocket: WebSocket, token: token("machines"), minReconnectDelay: 20, maxReconnectDelay: 200 };
  const centrifuge = new Centrifuge(`ws://${gateway}/connection/websocket`, options);
  const subscription = centrifuge.newSubscription(CHANNEL);
  const self = { centrifuge, subscription, heard: [], position: undefined };
  subscription.on("publication", ({ data, offset }) => self.heard.push({ n: data.n, offset }));
  subscription.on("subscribed", ({ streamPosition }) => { self.position = streamPosition; });
  subscription.subscribe();
  centrifuge.connect();
  await within(subscription.ready(), `subscribe at ${gateway}`);
  return self;
}

/** A JWT as a back end makes it. */
function token(user) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const signed = `${part({ alg: "HS256", typ: "JWT" })}.${part({ sub: user })}`;
  return `${signed}.${createHmac("sha256", SIGNING_KEY).update(signed).digest("base64url")}`;
}

async function api(method, body) {
  const answer = await fetch(`http://${GATEWAYS[1]}/api/${method}`, { method: "POST", headers: { "X-API-Key": API_KEY }, body: JSON.stringify(body) });
  const value = await answer.json();
  assert.equal(value.error, undefined, JSON.stringify(value));
  return value.result;
}

async function admin() {
  try {
    const answer = await fetch(`http://${GATEWAYS[0]}/admin/members`, { headers: { Authorization: `Bearer ${ADMIN_TOKEN}` } });
    return await answer.json();
  } catch {
    return { members: [], epoch: 0 }; // not up yet
  }
}
