// The unmodified npm client `centrifuge` against a running server that welcomes anonymous clients.
//
//   node centrifuge-js.mjs http://127.0.0.1:PORT                    in JSON
//   FORM=protobuf node centrifuge-js.mjs http://127.0.0.1:PORT      in Protobuf, beside a client in JSON
//
// Two clients subscribe, talk, read history and presence; then one leaves, politely and by a cut socket, and must recover all it missed.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { Centrifuge as InJson } from "centrifuge";
import { Centrifuge as InProtobuf } from "centrifuge/build/protobuf";
import WebSocket from "ws";
import { step, until, usage, within } from "./steps.mjs";

const server = new URL(process.argv[2] ?? usage("centrifuge-js.mjs http://HOST:PORT"));
const isProtobuf = process.env.FORM === "protobuf";
const endpoint = `ws://${server.host}/connection/websocket`;
const channel = `sdk-js-${randomUUID()}`;

const alice = await client();
const bob = await client();
await step("two clients subscribe, with a position", subscribed);
await step("a publication reaches both, in order and once", delivered);
await step("history gives it back", history);
await step("presence names both clients", presence);
await step("after disconnect and connect, nothing is missing", () => recovers(() => bob.centrifuge.disconnect(), () => bob.centrifuge.connect()));
await step("after a cut socket, nothing is missing", () => recovers(() => bob.socket.terminate(), () => {}));
if (isProtobuf) await step("a client in JSON hears the same, and any bytes as Base64", anyBytes);
await step("an unsubscribed client hears nothing more", unsubscribed);
await step("another user's inbox is refused by code", foreignInbox);
alice.centrifuge.disconnect();
bob.centrifuge.disconnect();

async function client() {
  const self = { heard: [], recoveries: [] };
  const Seen = class extends WebSocket { // what the test cuts; the client itself is as published
    constructor(...args) {
      super(...args);
      self.socket = this;
    }
  };
  const Client = isProtobuf ? InProtobuf : InJson;
  self.centrifuge = new Client(endpoint, { websocket: Seen, minReconnectDelay: 50, maxReconnectDelay: 200 });
  self.subscription = self.centrifuge.newSubscription(channel);
  self.subscription.on("publication", ({ data, offset }) => self.heard.push({ n: decoded(data)?.n, offset }));
  self.subscription.on("subscribed", (context) => self.recoveries.push(context));
  self.subscription.subscribe();
  self.centrifuge.connect();
  await within(self.centrifuge.ready(), "connect");
  await within(self.subscription.ready(), "subscribe");
  return self;
}

async function subscribed() {
  for (const { recoveries: [first] } of [alice, bob]) {
    assert.equal(first.recoverable, true, "the channel can be recovered");
    assert.equal(first.streamPosition.offset, 0, "nothing was published yet");
    assert.ok(first.streamPosition.epoch, "the stream has an epoch");
  }
}

async function delivered() {
  await publish(1, 20);
  for (const { heard } of [alice, bob]) {
    await until("20 publications", () => heard.length >= 20);
    assert.deepEqual(heard, numbers(1, 20), "offsets begin at 1 and follow one another");
  }
}

async function history() {
  const { publications, offset } = await within(bob.subscription.history({ limit: 100 }), "history");
  assert.equal(offset, 20);
  assert.deepEqual(publications.map((one) => ({ n: decoded(one.data).n, offset: one.offset })), numbers(1, 20));
  const newest = await within(bob.subscription.history({ limit: 3, reverse: true }), "history in reverse");
  assert.deepEqual(newest.publications.map((one) => one.offset), [20, 19, 18]);
}

async function presence() {
  const { clients } = await within(alice.subscription.presence(), "presence");
  assert.equal(Object.keys(clients).length, 2);
  const { numClients } = await within(alice.subscription.presenceStats(), "presence stats");
  assert.equal(numClients, 2);
}

/** Bob is away while ten are published; what he heard in all must be every number once, in order. */
async function recovers(leave, comeBack) {
  const before = bob.recoveries.length;
  const top = bob.heard.length;
  leave();
  await until("bob is away", () => bob.centrifuge.state !== "connected");
  await publish(top + 1, top + 10);
  comeBack();
  await until("bob subscribed again", () => bob.recoveries.length > before);
  const { wasRecovering, recovered } = bob.recoveries.at(-1);
  assert.deepEqual({ wasRecovering, recovered }, { wasRecovering: true, recovered: true });
  await until("bob heard what he missed", () => bob.heard.length >= top + 10);
  await publish(top + 11, top + 11);
  await until("and what came after", () => bob.heard.length >= top + 11);
  assert.deepEqual(bob.heard, numbers(1, top + 11));
}

async function unsubscribed() {
  bob.subscription.unsubscribe();
  await until("alice is alone", async () => (await alice.subscription.presenceStats()).numClients === 1);
  const heard = bob.heard.length;
  const next = alice.heard.length + 1;
  await publish(next, next);
  await until("alice heard it", () => alice.heard.length >= next);
  assert.equal(bob.heard.length, heard);
}

async function foreignInbox() {
  const stranger = bob.centrifuge.newSubscription("#somebody-else");
  const refused = new Promise((resolve) => {
    stranger.on("unsubscribed", resolve);
    stranger.on("error", ({ error }) => resolve(error));
  });
  stranger.subscribe();
  assert.equal((await within(refused, "refusal")).code, 103, "permission denied");
}

async function publish(from, to) {
  for (const { n } of numbers(from, to)) await within(alice.subscription.publish(encoded({ n })), `publish ${n}`);
}

function numbers(from, to) {
  return Array.from({ length: to - from + 1 }, (_, index) => ({ n: from + index, offset: from + index }));
}

/** Payloads of the Protobuf form are bytes. */
function encoded(data) {
  return isProtobuf ? new TextEncoder().encode(JSON.stringify(data)) : data;
}

function decoded(data) {
  if (!isProtobuf) return data;
  try {
    return JSON.parse(new TextDecoder().decode(data));
  } catch {
    return undefined; // other bytes
  }
}

/** What alice publishes that is no JSON reaches a client in JSON as a string, and what that one publishes reaches alice as JSON. */
async function anyBytes() {
  const carol = new InJson(endpoint, { websocket: WebSocket });
  const room = `${channel}-bytes`;
  const heard = { carol: [], alice: [] };
  const [inJson, inProtobuf] = [carol, alice.centrifuge].map((one) => one.newSubscription(room));
  inJson.on("publication", ({ data }) => heard.carol.push(data));
  inProtobuf.on("publication", ({ data }) => heard.alice.push([...data]));
  carol.connect();
  for (const one of [inJson, inProtobuf]) {
    one.subscribe();
    await within(one.ready(), "subscribe");
  }
  await within(inProtobuf.publish(new Uint8Array([255, 10, 0])), "publish bytes");
  await within(inJson.publish({ a: 1 }), "publish JSON");
  await until("both heard both", () => heard.carol.length === 2 && heard.alice.length === 2);
  assert.deepEqual(heard.carol, ["/woA", { a: 1 }]);
  assert.deepEqual(heard.alice, [[255, 10, 0], [...new TextEncoder().encode('{"a":1}')]]);
  const { publications } = await within(inJson.history({ limit: 10 }), "history");
  assert.deepEqual(publications.map(({ data }) => data), heard.carol);
  carol.disconnect();
}
