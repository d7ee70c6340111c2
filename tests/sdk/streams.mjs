// The unmodified npm client `centrifuge` over HTTP streaming and over SSE, against a running server that welcomes anonymous clients.
//
//   node streams.mjs http://127.0.0.1:PORT [http://127.0.0.1:OTHER]
//
// For each transport two clients subscribe, talk, read history and presence; one leaves and must recover what it missed. Commands go to the
// second server, where one is named: another gateway of the same cluster.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { Centrifuge } from "centrifuge";
import { EventSource } from "eventsource";
import { step, until, usage, within } from "./steps.mjs";

const server = new URL(process.argv[2] ?? usage("streams.mjs http://HOST:PORT [http://HOST:OTHER]"));
const other = new URL(process.argv[3] ?? server);

for (const transport of ["http_stream", "sse"]) {
  const channel = `${transport}-${randomUUID()}`;
  const alice = await client(transport, channel);
  const bob = await client(transport, channel);
  await step(`${transport}: publications reach both, in order and once`, async () => {
    for (let n = 1; n <= 20; n++) await within(alice.subscription.publish({ n }), "publish");
    for (const { heard } of [alice, bob]) {
      await until("20 publications", () => heard.length >= 20);
      assert.deepEqual(heard, Array.from({ length: 20 }, (_, n) => n + 1));
    }
  });
  await step(`${transport}: history and presence`, async () => {
    assert.equal((await within(bob.subscription.history({ limit: 100 }), "history")).publications.length, 20);
    assert.equal(Object.keys((await within(bob.subscription.presence(), "presence")).clients).length, 2);
  });
  await step(`${transport}: after disconnect and connect, nothing is missing`, async () => {
    bob.centrifuge.disconnect();
    for (let n = 21; n <= 30; n++) await within(alice.subscription.publish({ n }), "publish");
    bob.centrifuge.connect();
    await until("what was missed", () => bob.heard.length >= 30);
    assert.deepEqual(bob.heard, Array.from({ length: 30 }, (_, n) => n + 1));
  });
  alice.centrifuge.disconnect();
  bob.centrifuge.disconnect();
}
process.exit(0);

async function client(transport, channel) {
  const self = { heard: [] };
  const options = {
    emulationEndpoint: new URL("/emulation", other).href,
    eventsource: EventSource,
    minReconnectDelay: 50,
    maxReconnectDelay: 200,
  };
  self.centrifuge = new Centrifuge([{ transport, endpoint: new URL(`/connection/${transport}`, server).href }], options);
  self.centrifuge.on("connected", (context) => assert.equal(context.transport, transport));
  self.subscription = self.centrifuge.newSubscription(channel);
  self.subscription.on("publication", ({ data }) => self.heard.push(data.n));
  self.subscription.subscribe();
  self.centrifuge.connect();
  await within(self.centrifuge.ready(), "connect");
  await within(self.subscription.ready(), "subscribe");
  return self;
}
