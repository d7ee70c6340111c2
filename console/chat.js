// One chat box: a user, their socket, what was said, and the counts that must stay at nought.

import { byId, el, say } from "./dom.js";
import { clock } from "./events.js";
import { number } from "./changes.js";
import { colour } from "./palette.js";
import { PlainClient, TYPE } from "./socket.js";
import { Sequence, numbered, parseNumbered } from "./sequence.js";
import { Strip } from "./strip.js";

const KEEP_TALKING_MS = 200;
/** Older lines fall off the box. */
const LINES_LIMIT = 200;
/** Sending times kept for numbered messages under way. Beyond it the oldest is given up: its delivery time stays unknown. */
const UNDER_WAY_LIMIT = 5_000;

/** When each numbered message left this page; shared by the boxes, because one sends what the other receives. */
const sentAt = new Map();

export class Chat {
  #sequence = new Sequence();
  #counts = { closed: 0, sent: 0, received: 0, refused: 0, slowestMs: null };
  #talk = null;
  #owner = null;

  /** `onClosed` after each lost socket, `onUser` when the box changed its user, `onOwner(user, before, now)` when the server names another owner. */
  constructor(user, { onClosed, onUser, onOwner }) {
    this.user = user;
    this.hooks = { onClosed, onUser, onOwner };
    this.node = byId("chat-template").content.firstElementChild.cloneNode(true);
    this.part = (name) => this.node.querySelector(`.${name}`);
    this.strip = new Strip(this.part("strip"));
    this.client = new PlainClient({
      onState: (state, wait) => this.#showLink(state, wait),
      onMessage: (message) => this.#received(message),
      onClosed: (why) => this.#lost(why),
    });
    this.#wire();
  }

  get closed() {
    return this.#counts.closed;
  }

  /** The other box: whom this one talks to unless the text says otherwise. */
  pairWith(other) {
    this.other = other;
    this.#showNames();
  }

  connect() {
    this.node.dataset.user = this.user;
    this.#owner = null;
    this.client.connect(this.user);
  }

  /** The partner's name changed: a run in progress ends here and begins anew towards the new name. */
  partnerChanged() {
    this.#showNames();
    if (this.#talk) this.#startTalking();
  }

  /** Numbers of this run are expected from 1. */
  expect(run) {
    this.#sequence.expect(run);
  }

  #wire() {
    const name = this.part("name");
    name.value = this.user;
    name.addEventListener("input", () => {
      name.setCustomValidity(nameFault(name.value));
      this.part("rename").hidden = name.value === this.user;
    });
    this.part("who").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#rename(name.value);
    });
    this.part("say").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#say(this.part("text"));
    });
    this.part("keep").addEventListener("change", ({ target }) => (target.checked ? this.#startTalking() : this.#stopTalking()));
  }

  #rename(user) {
    if (user === this.user || nameFault(user)) return;
    this.user = user;
    this.part("rename").hidden = true;
    this.#line("note", `now ${user}`);
    this.connect();
    this.#showNames();
    this.hooks.onUser();
  }

  #say(input) {
    if (!input.value.trim()) return;
    const text = input.value.startsWith("@") ? input.value : `@${this.other.user}:${input.value}`;
    if (!this.#send(text)) {
      this.#line("bad", "not sent: the socket is not open");
      return;
    }
    this.#line("mine", text);
    input.value = "";
  }

  #send(text) {
    if (!this.client.send(text)) return false;
    this.#counts.sent += 1;
    this.#showCounts();
    return true;
  }

  #startTalking() {
    this.#stopTalking();
    const talk = { run: Math.random().toString(36).slice(2, 8), n: 0 };
    this.other.expect(talk.run);
    talk.timer = setInterval(() => this.#sayNext(talk), KEEP_TALKING_MS);
    this.#talk = talk;
    this.#sayNext(talk);
  }

  #stopTalking() {
    clearInterval(this.#talk?.timer);
    this.#talk = null;
  }

  /** A number is only used up when it could be sent: what the socket did not take is not missing. */
  #sayNext(talk) {
    if (!this.client.open) return;
    talk.n += 1;
    sentAt.set(`${talk.run} ${talk.n}`, performance.now());
    if (sentAt.size > UNDER_WAY_LIMIT) sentAt.delete(sentAt.keys().next().value);
    this.#send(`@${this.other.user}:${numbered(talk.n, talk.run)}`);
  }

  #received(message) {
    this.#showOwner(message);
    const { type, content, from } = message;
    if (type === TYPE.connected) this.#line("note", `connected at ${message.dateTime}, owner ${bare(message.ip)}`);
    else if (type === TYPE.reconnect) this.#line("bad", `the server asks to reconnect: ${content ?? ""}`);
    else if (type === TYPE.refused) this.#refused(content);
    else if (type === TYPE.message) this.#heard(content, from);
  }

  #refused(content) {
    this.#counts.refused += 1;
    this.#line("bad", content);
    this.#showCounts();
  }

  #heard(content, from) {
    this.#counts.received += 1;
    const counted = parseNumbered(content);
    if (counted) this.#heardNumber(counted, from);
    else this.#line("theirs", content, from ?? "the API");
    this.#showCounts();
  }

  #heardNumber({ n, run }, from) {
    const missing = this.#sequence.missing;
    const verdict = this.#sequence.take(n, run);
    const key = `${run} ${n}`;
    const ms = sentAt.has(key) ? performance.now() - sentAt.get(key) : null;
    sentAt.delete(key);
    if (ms !== null) this.#counts.slowestMs = Math.max(this.#counts.slowestMs ?? 0, ms);
    this.strip.add(verdict, ms);
    say(this.part("counting-text"), `${from ?? "somebody"} is at ${number(n)}${ms === null ? "" : `, ${duration(ms)}`}`);
    if (verdict !== "next") this.#line("bad", VERDICTS[verdict](from ?? "somebody", n, this.#sequence.missing - missing));
  }

  #lost(why) {
    this.#counts.closed += 1;
    this.#line("bad", `socket lost: ${why}`);
    this.#showCounts();
    this.hooks.onClosed(this.user, why);
  }

  #showLink(state, wait) {
    const link = this.part("link");
    link.dataset.state = state;
    const words = { connecting: "connecting", open: "connected", waiting: `not connected, next try in ${duration(wait ?? 0)}` };
    say(link, words[state]);
  }

  #showNames() {
    this.node.setAttribute("aria-label", `Chat of ${this.user}`);
    this.part("messages").setAttribute("aria-label", `What ${this.user} said and heard`);
    const field = this.part("text");
    field.id = `say-${this.node.dataset.box}`;
    this.part("to").htmlFor = field.id;
    say(this.part("to"), `@${this.other.user}:`);
    field.title = "Begin with @name: to write to somebody else";
  }

  /** `ip` is the user's owner, `『node-2:7002』`. */
  #showOwner({ ip, userCount }) {
    const id = /^(.+):\d+$/.exec(bare(ip))?.[1];
    if (!id) return;
    this.part("dot").className = `dot ${colour(id)}`;
    say(this.part("owner-text"), `owner ${bare(ip)}, ${number(userCount)} ${userCount === 1 ? "user" : "users"} there`);
    this.node.dataset.owner = id;
    if (this.#owner && this.#owner !== id) {
      this.#line("note", `owner ${this.#owner} → ${id}, same socket`);
      this.hooks.onOwner(this.user, this.#owner, id);
    }
    this.#owner = id;
  }

  #showCounts() {
    const { closed, sent, received, slowestMs } = this.#counts;
    const { missing, doubled, disordered } = this.#sequence;
    const values = { closed, sent, received, missing, doubled, disordered, refused: this.#counts.refused };
    for (const [name, value] of Object.entries(values)) {
      const shown = this.part(`n-${name}`);
      say(shown, number(value));
      shown.dataset.bad = String(value > 0 && BAD_COUNTS.has(name));
      if (RARE_COUNTS.has(name)) shown.parentElement.hidden = value === 0;
    }
    say(this.part("n-slowest"), slowestMs === null ? "–" : duration(slowestMs));
  }

  #line(kind, text, from = null) {
    const list = this.part("messages");
    const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 24;
    list.append(el("div", { class: kind },
      from === null ? null : el("b", {}, from), el("span", {}, text), el("time", {}, clock(new Date()))));
    while (list.children.length > LINES_LIMIT) list.firstElementChild.remove();
    if (atEnd) list.scrollTop = list.scrollHeight;
  }
}

const VERDICTS = {
  gap: (from, n, skipped) => `${from}'s ${skipped === 1 ? number(n - 1) : `${number(n - skipped)} to ${number(n - 1)}`} missing before ${number(n)}`,
  late: (from, n) => `${from}'s ${number(n)} came after later ones`,
  double: (from, n) => `${from}'s ${number(n)} came twice`,
};
const BAD_COUNTS = new Set(["closed", "missing", "doubled", "disordered", "refused"]);
/** Shown only once they are not nought. */
const RARE_COUNTS = new Set(["disordered", "refused"]);

/** What is wrong with a user name, in the server's rules; empty when nothing is. */
function nameFault(name) {
  const bytes = new TextEncoder().encode(name).length;
  if (bytes < 1 || bytes > 128) return "A user name has 1 to 128 bytes.";
  return /[\s\p{Cc}:#,/]/u.test(name) ? "A user name has no space, control character, : # , or /." : "";
}

/** The brackets are the wire's; many fonts lack them. */
const bare = (ip) => (ip ?? "unknown").replace(/[『』]/g, "");

const duration = (ms) => (ms < 1_000 ? `${Math.round(ms)} ms` : `${(ms / 1_000).toFixed(1)} s`);
