// The unmodified npm client `centrifuge` where its habits meet the server's answers: pages that mount twice, states that are not the
// server's, tokens for channels.
//
//   node answers.mjs http://127.0.0.1:PORT
//
// The server has the channels of crates/ringway/tests/black_box/answers/ringway.toml.

import assert from "node:assert/strict";
import { createHmac, randomUUID } from "node:crypto";
import { Centrifuge } from "centrifuge";
import WebSocket from "ws";
import { step, until, usage, within } from "./steps.mjs";

const server = new URL(process.argv[2] ?? usage("answers.mjs http://HOST:PORT"));
const endpoint = `ws://${server.host}/connection/websocket`;
const signing_key = "a signing key for tests alone";
const run = randomUUID();

const centrifuge = new Centrifuge(endpoint, { websocket: WebSocket, minReconnectDelay: 50, maxReconnectDelay: 200 });
const disconnects = [];
centrifuge.on("connecting", (context) => disconnects.push(context));
centrifuge.connect();
await within(centrifuge.ready(), "connect");
disconnects.length = 0;

await step("a page that mounts twice is subscribed, once and without an error", mountsTwice);
await step("the same while the client connects", mountsTwiceWhileConnecting);
await step("a state of one's own, in a channel that recovers nothing", ownState);
await step("a token opens a private channel", privateChannel);
await step("without a token a private channel stays closed", closedChannel);
await step("a token that ends is renewed, and the subscription goes on", renewal);
await step("null is a payload", nothing);
assert.deepEqual(disconnects, [], "no connection was lost");
centrifuge.disconnect();

/** What happens to a subscription. */
function watched(client, channel, options) {
  const subscription = client.newSubscription(channel, options);
  const seen = { subscription, subscribed: [], unsubscribed: [], errors: [], heard: [] };
  subscription.on("subscribed", (context) => seen.subscribed.push(context));
  subscription.on("unsubscribed", (context) => seen.unsubscribed.push(context));
  subscription.on("error", (context) => seen.errors.push(context));
  subscription.on("publication", ({ data }) => seen.heard.push(data));
  return seen;
}

/** As React's StrictMode does: mount, unmount, mount, in one go, and here in one frame, so that nothing is answered in between. */
function mountTwice(client, subscription) {
  client.startBatching();
  subscription.subscribe();
  subscription.unsubscribe();
  subscription.subscribe();
  client.stopBatching();
}

async function hearsOnce(seen) {
  await within(seen.subscription.ready(), "subscribe");
  await within(seen.subscription.publish({ n: 1 }), "publish");
  await until("the publication", () => seen.heard.length > 0);
  await within(seen.subscription.publish({ n: 2 }), "publish again");
  await until("the next one", () => seen.heard.length > 1);
  assert.deepEqual(seen.heard, [{ n: 1 }, { n: 2 }], "each came once");
  assert.deepEqual(seen.errors, []);
}

async function mountsTwice() {
  const seen = watched(centrifuge, `twice-${run}`);
  mountTwice(centrifuge, seen.subscription);
  await hearsOnce(seen);
}

async function mountsTwiceWhileConnecting() {
  const other = new Centrifuge(endpoint, { websocket: WebSocket });
  const seen = watched(other, `twice-${run}-2`);
  other.connect();
  mountTwice(other, seen.subscription);
  await hearsOnce(seen);
  other.disconnect();
}

async function ownState() {
  let asked = 0;
  const getState = async () => {
    asked += 1;
    return { offset: 3, epoch: "abcdefgh" };
  };
  const seen = watched(centrifuge, `bare:${run}`, { getState });
  seen.subscription.subscribe();
  await within(seen.subscription.ready(), "subscribe");
  const [{ wasRecovering, recovered }] = seen.subscribed;
  assert.deepEqual({ wasRecovering, recovered }, { wasRecovering: true, recovered: false });
  await within(seen.subscription.publish(1), "publish");
  assert.deepEqual({ asked, errors: seen.errors }, { asked: 1, errors: [] }, "it asked for its state once");
}

function token(claims) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const signed = `${part({ alg: "HS256", typ: "JWT" })}.${part(claims)}`;
  return `${signed}.${createHmac("sha256", signing_key).update(signed).digest("base64url")}`;
}

function inSeconds(seconds) {
  return Math.floor(Date.now() / 1000) + seconds;
}

async function privateChannel() {
  const channel = `$closed:${run}`;
  const getToken = async () => token({ channel, info: { role: "guest" }, data: { hello: 1 } });
  const seen = watched(centrifuge, channel, { getToken });
  seen.subscription.subscribe();
  await within(seen.subscription.ready(), "subscribe");
  assert.deepEqual(seen.subscribed[0].data, { hello: 1 });
  const { clients } = await within(seen.subscription.presence(), "presence");
  assert.deepEqual(Object.values(clients).map((one) => one.chanInfo), [{ role: "guest" }]);
}

async function closedChannel() {
  const seen = watched(centrifuge, `$closed:${run}-2`);
  seen.subscription.subscribe();
  await until("the refusal", () => seen.unsubscribed.length > 0);
  assert.equal(seen.unsubscribed[0].code, 103);
}

async function renewal() {
  const channel = `closed:${run}`;
  let given = 0;
  const getToken = async () => {
    given += 1;
    return token({ channel, exp: inSeconds(given < 3 ? 2 : 1000) });
  };
  const seen = watched(centrifuge, channel, { getToken });
  seen.subscription.subscribe();
  await until("two renewals", () => given >= 3);
  await within(seen.subscription.publish("still here"), "publish");
  await until("the publication", () => seen.heard.length > 0);
  assert.deepEqual({ ...seen, subscription: 0, subscribed: seen.subscribed.length }, { subscription: 0, subscribed: 1, unsubscribed: [], errors: [], heard: ["still here"] });
}

async function nothing() {
  const seen = watched(centrifuge, `null-${run}`);
  seen.subscription.subscribe();
  await within(seen.subscription.ready(), "subscribe");
  await within(seen.subscription.publish(null), "publish");
  await until("the publication", () => seen.heard.length > 0);
  assert.deepEqual(seen.heard, [null]);
}
