// What the tests of the JavaScript SDK share: named steps, and waits that end.

/** Any single wait. */
const DEADLINE_MS = 10_000;

/** Runs one step and says how it went; the first that fails ends the process. */
export async function step(name, run) {
  const from = Date.now();
  try {
    await run();
    console.log(`ok    ${name} (${Date.now() - from} ms)`);
  } catch (error) {
    console.error(`FAIL  ${name}\n  ${error.message}`);
    process.exit(1);
  }
}

/** Waits until `condition` holds. */
export async function until(what, condition, deadline_ms = DEADLINE_MS) {
  const deadline = Date.now() + deadline_ms;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`waited ${deadline_ms} ms in vain: ${what}`);
    await new Promise((resume) => setTimeout(resume, 5));
  }
}

/** What `promise` gives, if it does in time. */
export async function within(promise, what) {
  let timer;
  const late = new Promise((_, reject) => { timer = setTimeout(() => reject(new Error(`no answer within ${DEADLINE_MS} ms: ${what}`)), DEADLINE_MS); });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

export function usage(line) {
  console.error(`usage: node ${line}`);
  process.exit(64);
}
