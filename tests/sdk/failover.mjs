// The unmodified npm client `centrifuge` while the cluster under it changes: nodes are killed, added, frozen and stopped, and nobody
// notices; a gateway leaves, and its clients go on at the other.
//
//   node failover.mjs 'http://127.0.0.1:PORT/#token=TOKEN'     a demo with two gateways and three nodes
//
// Listeners on both gateways share channels with history; of the two of each channel one speaks JSON, the other Protobuf. One client publishes numbers to each all the while, and every number must be
// acknowledged, and heard by everybody once and in order, at offsets without a gap.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import net from "node:net";
import { Centrifuge } from "centrifuge";
import { Centrifuge as InProtobuf } from "centrifuge/build/protobuf";
import WebSocket from "ws";
import { step, until, usage, within } from "./steps.mjs";

const CHANNELS = 24;
/** Pause of a publisher between an acknowledgement and its next number. */
const PACE_MS = 20;
/** A change that has not settled by then hangs, also on a busy machine. */
const SETTLED_MS = 60_000;

const server = new URL(process.argv[2] ?? usage("failover.mjs 'http://HOST:PORT/#token=TOKEN'"));
const token = /token=([^&]+)/.exec(server.hash)?.[1] ?? usage("failover.mjs 'http://HOST:PORT/#token=TOKEN'");

await until("both gateways are there", async () => (await members()).filter(({ state }) => state === "active").length === 5, SETTLED_MS);
const gateways = (await members()).filter(({ roles }) => roles.includes("gateway")).map(({ address }) => address);
const doors = await Promise.all([balancer(gateways), balancer([...gateways].reverse())]);
const channels = Array.from({ length: CHANNELS }, () => `failover-${randomUUID()}`);
const listeners = await Promise.all(channels.flatMap((channel) => doors.map((door, home) => listener(channel, door, home))));
const writer = client(doors[0]);
const pens = channels.map((channel) => writer.newSubscription(channel)); // only who listens to a channel may write to it
pens.forEach((pen) => pen.subscribe());
await Promise.all(pens.map((pen) => within(pen.ready(), "subscribe")));
const acknowledged = channels.map(() => 0);
let writing = true;
let refused;
const writers = pens.map(write);
writers.forEach((one) => one.catch(({ message }) => { refused ??= message; }));

await step("a node is killed", () => quietly(() => act("node-2", "kill")));
await step("it is started again", () => quietly(() => act("node-2", "start")));
await step("a node is added", () => quietly(() => order("POST", "/admin/members")));
await step("a node gets another weight", () => quietly(() => order("POST", "/admin/members/node-1/weight", { weight: 2 })));
await step("a node hands over and leaves", () => quietly(() => act("node-3", "stop")));
await step("a node is frozen, and thawed when others serve", () => quietly(frozen));
await step("a gateway leaves, and its clients go on at the other", gatewayLeaves);
await step("everybody is asked to connect anew", everybodyConnectsAnew);
await step("every number was heard once and in order", heardAll);
[writer, ...listeners.map(({ centrifuge }) => centrifuge)].forEach((one) => one.disconnect());

/** The address of a balancer for sockets: each goes to the first of these that takes it. The client knows one address only. */
async function balancer(hosts) {
  const proxy = net.createServer((socket) => forward(socket, hosts)).listen(0, "127.0.0.1");
  await new Promise((resume) => proxy.once("listening", resume));
  proxy.unref();
  return `127.0.0.1:${proxy.address().port}`;
}

function forward(socket, [host, ...others]) {
  const [name, port] = host.split(":");
  const onward = net.connect(Number(port), name, () => socket.pipe(onward).pipe(socket));
  let open = false;
  onward.once("connect", () => { open = true; });
  onward.on("error", () => (open || others.length === 0 ? socket.destroy() : forward(socket, others)));
  socket.on("error", () => onward.destroy());
}

function client(door, Client = Centrifuge) {
  const options = { websocket: WebSocket, minReconnectDelay: 20, maxReconnectDelay: 200 };
  const centrifuge = new Client(`ws://${door}/connection/websocket`, options);
  centrifuge.connect();
  return centrifuge;
}

async function listener(channel, door, home) {
  const isProtobuf = (channels.indexOf(channel) + home) % 2 === 1; // so both gateways have both
  const self = { channel, home, heard: [], left: [], lost: 0, centrifuge: client(door, isProtobuf ? InProtobuf : Centrifuge) };
  self.centrifuge.on("connecting", ({ code }) => self.left.push(code));
  const subscription = self.centrifuge.newSubscription(channel);
  const number = (data) => (isProtobuf ? JSON.parse(new TextDecoder().decode(data)) : data).n;
  subscription.on("publication", ({ data, offset }) => self.heard.push({ n: number(data), offset }));
  subscription.on("subscribed", ({ wasRecovering, recovered }) => { self.lost += wasRecovering && !recovered ? 1 : 0; });
  subscription.subscribe();
  await within(subscription.ready(), "subscribe");
  self.left = [];
  return self;
}

/** Publishes one number after the other. The client repeats nothing by itself, so each must be acknowledged. */
async function write(pen, at) {
  while (writing) {
    await within(pen.publish({ n: acknowledged[at] + 1 }), "publish");
    acknowledged[at] += 1;
    await new Promise((resume) => setTimeout(resume, PACE_MS));
  }
}

/** A change of nodes: it settles, everybody hears something newer, and no connection ends. */
async function quietly(change) {
  await change();
  await settled();
  assert.equal(refused, undefined, "every publish is acknowledged");
  const before = [...acknowledged];
  await until("everybody hears something newer", () => listeners.every(({ channel, heard }) => heard.length > before[channels.indexOf(channel)] + 1));
  for (const { left, lost, home } of listeners) assert.deepEqual({ left, lost }, { left: [], lost: 0 }, `a client of gateway-${home}`);
}

async function frozen() {
  await act("node-1", "freeze");
  await gone("node-1");
  await act("node-1", "thaw");
}

async function gatewayLeaves() {
  const away = listeners.filter(({ home }) => home === 1);
  await act("gateway-1", "stop");
  await until("its clients were sent away", () => away.every(({ left }) => left.length > 0), SETTLED_MS);
  await until("they are connected again", () => away.every(({ centrifuge }) => centrifuge.state === "connected"), SETTLED_MS);
  for (const { home, left, lost } of listeners) {
    assert.equal(lost, 0, "nothing was lost");
    if (home === 0) assert.deepEqual(left, [], "nobody else was disturbed");
    else assert.equal(left[0], 3001, "shutdown");
  }
  await gone("gateway-1");
  await act("gateway-1", "start");
  await settled();
}

async function everybodyConnectsAnew() {
  listeners.forEach((one) => { one.left = []; });
  writing = false; // a publish on a socket that is closed has no answer
  await Promise.all(writers);
  await order("POST", "/admin/members/node-1/weight", { weight: 3, mode: "reset-all", window: "1s" });
  await until("everybody was asked", () => listeners.every(({ left }) => left.length > 0), SETTLED_MS);
  await until("everybody is back", () => listeners.every(({ centrifuge }) => centrifuge.state === "connected"), SETTLED_MS);
  await Promise.all(pens.map((pen) => within(pen.ready(), "subscribe")));
  for (const { left, lost } of listeners) assert.deepEqual({ left, lost }, { left: [3011], lost: 0 });
  await Promise.all(pens.map((pen, at) => within(pen.publish({ n: ++acknowledged[at] }), "publish")));
}

async function heardAll() {
  for (const { channel, heard } of listeners) {
    const count = acknowledged[channels.indexOf(channel)];
    await until("the last number", () => heard.length >= count);
    assert.deepEqual(heard, Array.from({ length: count }, (_, index) => ({ n: index + 1, offset: index + 1 })));
  }
  console.log(`      ${acknowledged.reduce((sum, count) => sum + count)} numbers, ${listeners.length} listeners`);
}

/** Every member is in the view or out of it, and every slot has its copies. */
async function settled() {
  await until("the change has settled", async () => {
    const all = await members();
    const { changes } = await order("GET", "/admin/changes");
    return all.every(({ state, unsettled }) => ["active", "down"].includes(state) && unsettled === 0) && changes.every(({ state }) => state !== "running");
  }, SETTLED_MS);
}

/** The view goes on without a member, and its process, if it has ended, is known to have. */
async function gone(id) {
  await until(`${id} is gone`, async () => (await members()).find((member) => member.id === id).state === "down", SETTLED_MS);
}

async function members() {
  return (await order("GET", "/admin/members")).members;
}

async function act(id, action) {
  return order("POST", `/admin/members/${id}/${action}`);
}

async function order(method, path, body) {
  const headers = { Authorization: `Bearer ${token}`, ...(body && { "Content-Type": "application/json" }) };
  const answer = await fetch(new URL(path, server.origin), { method, headers, body: body && JSON.stringify(body) });
  const value = await answer.json();
  if (!answer.ok) throw new Error(`${method} ${path}: ${value.error}`);
  return value;
}
