// Where the chat boxes connect is what the server says of its clients' port, or where the page is.

import assert from "node:assert/strict";
import test from "node:test";

const page = (href) => {
  const { protocol, pathname, search, hash } = new URL(href);
  Object.assign(globalThis, { location: { protocol, pathname, search, hash }, document: { baseURI: href } });
  globalThis.sessionStorage = { getItem: () => null, setItem: () => {} };
};

const asked = [];
const answering = (answer) => {
  globalThis.fetch = async (url) => {
    asked.push(url.href);
    return answer;
  };
};
const json = (value) => new Response(JSON.stringify(value), { headers: { "content-type": "application/json" } });

page("http://ops.example:9890/");
const { findClients, socketAddress } = await import("../../console/api.js");

test("a page beside its clients connects to where it is, below its own path", async () => {
  page("https://ops.example/ringway/");
  answering(json({ clients: "" }));
  assert.equal(await findClients(), true);
  assert.equal(asked.at(-1), "https://ops.example/ringway/console/clients.json");
  assert.equal(socketAddress("a b"), "wss://ops.example/ringway/socket/a%20b");
});

test("a page on a port of its own connects to the clients' port", async () => {
  page("http://ops.example:9890/");
  answering(json({ clients: "chat.example:9888" }));
  assert.equal(await findClients(), true);
  assert.equal(socketAddress("ann"), "ws://chat.example:9888/socket/ann");
});

test("a node has no clients", async () => {
  answering(json({ clients: null }));
  assert.equal(await findClients(), false);
});

test("without an answer the page's own origin is tried", async () => {
  answering(new Response("gone", { status: 404 }));
  assert.equal(await findClients(), true);
  assert.equal(socketAddress("ann"), "ws://ops.example:9890/socket/ann");
});
