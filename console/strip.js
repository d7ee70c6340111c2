// The strip under a chat box: one bar per numbered message, as high as its delivery took. A pause stands out, a loss is red.

import { svg } from "./dom.js";

const BARS = 120;
const WIDTH = 480;
const HEIGHT = 40;
/** A bar of full height. The scale is a square root, so that both 2 ms and 2 s can be seen. */
const FULL_MS = 2_000;

export class Strip {
  #bars;
  #values = [];

  constructor(drawing) {
    const step = WIDTH / BARS;
    this.#bars = Array.from({ length: BARS }, (_, index) => svg("rect", { x: index * step, width: step - 1, y: HEIGHT - 1, height: 1 }));
    drawing.append(...this.#bars);
  }

  /** `kind`: `next`, `late`, `gap` or `double`; `ms` is null for a message of another page, whose sending was not seen. */
  add(kind, ms) {
    this.#values.push({ kind, height: kind === "gap" || kind === "double" ? HEIGHT : heightOf(ms ?? 0) });
    if (this.#values.length > BARS) this.#values.shift();
    const offset = BARS - this.#values.length;
    this.#values.forEach(({ kind: name, height }, index) => {
      const bar = this.#bars[offset + index];
      bar.setAttribute("class", name);
      bar.setAttribute("y", HEIGHT - height);
      bar.setAttribute("height", height);
    });
  }
}

const heightOf = (ms) => Math.max(1.5, HEIGHT * Math.sqrt(Math.min(1, ms / FULL_MS)));
