// The JavaScript of README.md, run as it is pasted against a demo, but for the port.
//
//   node readme.mjs http://127.0.0.1:PORT
//
// It runs as a module beside the npm packages that the README names. Node below 22 takes the WebSocket of `ws`; a newer one runs it twice,
// with its own and without.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { step, until, usage } from "./steps.mjs";

const server = new URL(process.argv[2] ?? usage("readme.mjs http://HOST:PORT"));
const here = fileURLToPath(new URL(".", import.meta.url));
const readme = await readFile(new URL("../../README.md", import.meta.url), "utf8");
const snippets = [...readme.matchAll(/^```js\n(.*?)^```$/gms)].map(([, code]) => code);

await step("the README has JavaScript for the demo's port", () => assert.ok(snippets.length > 0 && snippets.every((code) => code.includes("127.0.0.1:9888"))));
for (const [at, code] of snippets.entries()) {
  const pasted = code.replaceAll("127.0.0.1:9888", server.host);
  await step(`snippet ${at + 1} prints what it publishes`, () => runs(pasted));
  if (globalThis.WebSocket) await step(`snippet ${at + 1}, with the package ws`, () => runs(`delete globalThis.WebSocket; ${pasted}`));
}

/** It stays connected, so it is ended once it has printed its publication: an offset, and the data. */
async function runs(code) {
  const child = spawn(process.execPath, ["--input-type=module", "--eval", code], { cwd: here, stdio: ["ignore", "pipe", "pipe"] });
  const said = { out: "", err: "", ended: false };
  child.stdout.on("data", (text) => { said.out += text; });
  child.stderr.on("data", (text) => { said.err += text; });
  child.on("exit", () => { said.ended = true; });
  try {
    await until("it prints its publication", () => said.ended || /^\d+ \{ hello: 'world' \}$/m.test(said.out));
    assert.equal(said.ended, false, `it ended:\n${said.out}${said.err}`);
    assert.equal(said.err, "");
  } finally {
    child.kill();
  }
}
