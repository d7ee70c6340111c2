// Asks for the members once a second, faster for a while after an action, and knows how old its knowledge is.

import { ApiError, members } from "./api.js";

const CALM_MS = 1_000;
const HURRY_MS = 150;
/** How long an action keeps the poll fast: a kill is over in a fraction of it, a start nearly always. */
const HURRY_FOR_MS = 6_000;
/** Two polls in a row without an answer, and the page says that it shows the past. */
const STALE_AFTER_MS = 2_500;

/**
 * `onView(view)` for every answer, `onFreshness({ state, ageMs, reason })` whenever that may have changed; states are
 * `waiting`, `live`, `stale`, `refused` (401) and `absent` (404: this server has no admin API).
 */
export class Poll {
  #timer = null;
  #hurryUntil = 0;
  #round = 0;
  #answeredAt = null;
  #failure = null;

  constructor({ onView, onFreshness }) {
    this.onView = onView;
    this.onFreshness = onFreshness;
    setInterval(() => this.#tellFreshness(), 500);
  }

  /** Asks now, and forgets what an answer still under way would say. */
  async now() {
    clearTimeout(this.#timer);
    const round = ++this.#round;
    try {
      const view = await members();
      if (round !== this.#round) return;
      this.#answeredAt = performance.now();
      this.#failure = null;
      this.onView(view);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (round !== this.#round) return;
      this.#failure = error;
    } finally {
      if (round === this.#round) this.#next();
    }
  }

  /** An action was pressed: look closely for a while. */
  hurry() {
    this.#hurryUntil = performance.now() + HURRY_FOR_MS;
    this.now();
  }

  #next() {
    this.#tellFreshness();
    if (this.#failure?.status === 401) return; // asking again with the same token would be refused again
    this.#timer = setTimeout(() => this.now(), performance.now() < this.#hurryUntil ? HURRY_MS : CALM_MS);
  }

  #tellFreshness() {
    const ageMs = this.#answeredAt === null ? null : performance.now() - this.#answeredAt;
    this.onFreshness({ state: this.#state(ageMs), ageMs, reason: this.#failure?.message ?? "" });
  }

  #state(ageMs) {
    if (this.#failure?.status === 401) return "refused";
    if (this.#failure?.status === 404) return "absent";
    if (ageMs === null) return this.#failure ? "stale" : "waiting";
    return ageMs > STALE_AFTER_MS ? "stale" : "live";
  }
}
