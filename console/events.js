// The list of what happened, newest first.

import { byId, el } from "./dom.js";
import { colour } from "./palette.js";

/** Older lines fall off. */
const LINES_LIMIT = 200;

const list = byId("events");

/** `kind`: `change` (seen in a poll), `act` (pressed here), `bad` (refused, or a loss). */
export function tell(text, { member = null, kind = "change" } = {}) {
  const now = new Date();
  list.prepend(el("div", { class: kind },
    el("time", { datetime: now.toISOString() }, clock(now)),
    el("span", { class: `dot ${colour(member)}` }),
    el("span", { class: "event-text" }, text)));
  while (list.children.length > LINES_LIMIT) list.lastElementChild.remove();
}

export const clock = (date) => date.toLocaleTimeString("en-GB");
