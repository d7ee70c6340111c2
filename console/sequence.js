// Numbered messages, and the check that each arrives once and in order. Pure: no page, no socket.

/** Numbers remembered as missing, per run. Beyond it the oldest is given up: it stays counted, but its late arrival would count as a double. */
const MISSING_LIMIT = 10_000;
/** Runs remembered. Each press on "keep talking" begins one; the oldest is forgotten with its counts kept in the totals. */
const RUNS_LIMIT = 64;

export const numbered = (n, run) => `no. ${n} of run ${run}`;

/** `{ n, run }` of a numbered message, or null for anything else. */
export function parseNumbered(content) {
  const found = /^no\. (\d{1,15}) of run ([a-z0-9]{1,16})$/.exec(content);
  return found && { n: Number(found[1]), run: found[2] };
}

/** What one receiver saw of all runs. */
export class Sequence {
  #runs = new Map();
  received = 0;
  missing = 0;
  doubled = 0;
  disordered = 0;

  /** A run that begins now at 1. A run that was never announced begins with the first number seen of it. */
  expect(run) {
    this.#remember(run, 0);
  }

  /** Takes one number in; answers `next`, `gap`, `late` or `double`. */
  take(n, run) {
    const state = this.#runs.get(run) ?? this.#remember(run, n - 1);
    this.received += 1;
    if (n > state.top) return this.#advance(state, n);
    if (state.missing.delete(n)) {
      this.missing -= 1;
      this.disordered += 1;
      return "late";
    }
    this.doubled += 1;
    return "double";
  }

  #advance(state, n) {
    const skipped = n - state.top - 1;
    for (let lost = Math.max(state.top + 1, n - MISSING_LIMIT); lost < n; lost += 1) state.missing.add(lost);
    for (const oldest of state.missing) {
      if (state.missing.size <= MISSING_LIMIT) break;
      state.missing.delete(oldest);
    }
    state.top = n;
    this.missing += skipped;
    return skipped ? "gap" : "next";
  }

  #remember(run, top) {
    const state = { top, missing: new Set() };
    this.#runs.set(run, state);
    if (this.#runs.size > RUNS_LIMIT) this.#runs.delete(this.#runs.keys().next().value);
    return state;
  }
}
