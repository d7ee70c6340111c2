// The ring: share of slots per node as arcs, a sample of real placements as ticks, looked-up names as points.
//
// Slots are placed by rendezvous: a node's slots lie scattered all around the ring. So the arcs inside show only *how many* slots
// a node owns; where a slot really lies, and whose it is, show the ticks and points outside, each asked from the server.

import { ring } from "./api.js";
import { number, slotsOf } from "./changes.js";
import { byId, el, say, svg } from "./dom.js";
import { tell } from "./events.js";
import { colour } from "./palette.js";

/** Placements asked for at each epoch: enough to see the scatter, few enough to be no load. */
const SAMPLES = 120;
/** Requests under way at once while sampling, so that the poll and actions never wait behind them: browsers open six connections to an origin. */
const SAMPLING_WIDTH = 2;
/** After a change the cluster has better things to do than to answer samples; and a second change soon after makes the first's samples useless. */
const SAMPLING_DELAY_MS = 500;
/** Shares too small for a label inside the arc keep their tooltip and their row in the table. */
const LABEL_FROM_SHARE = 0.055;
/** Looked-up names drawn beside the two chat users; the oldest falls off. */
const LOOKUPS_LIMIT = 6;

const drawing = byId("ring");
const layers = Object.fromEntries(["shares", "ticks", "pins", "middle"].map((name) => [name, svg("g", { class: name })]));
drawing.append(svg("circle", { class: "track", r: 201 }), layers.shares, layers.ticks, layers.pins, layers.middle);

let view = null;
let total = 0;
let sampled = { epoch: null, answers: [] };
let sampling = null;
let talkers = [];
let needle = null; // the key in `pins` of the name looked up last
let onNeedle = () => {};
/** `listener` gets the answer for the name looked up last, each time it was asked again. */
export const whenNeedleMoves = (listener) => { onNeedle = listener; };

const pins = new Map(); // "user bob" -> { kind, name, answer, talker }

/** A new answer about the members. Placements are asked for again only when the epoch changed. */
export function show(next) {
  view = next;
  total = slotsOf(view) || total;
  drawShares();
  if (sampled.epoch !== view.epoch && sampling !== view.epoch) placeAgain(view.epoch);
}

/** The users of the chat boxes are always on the ring. */
export function follow(users) {
  talkers = users;
  for (const [key, pin] of pins) if (pin.talker && !users.includes(pin.name)) pins.delete(key);
  for (const name of users) pins.set(`user ${name}`, { kind: "user", name, talker: true, answer: pins.get(`user ${name}`)?.answer });
  if (view) placePins();
}

/** Asks for one name, draws it and answers `{ key, slot, owner, standby, epoch }`. */
export async function lookUp(kind, name) {
  const answer = await ring(kind, name);
  const key = `${kind} ${name}`;
  const talker = kind === "user" && talkers.includes(name);
  pins.delete(key);
  pins.set(key, { kind, name, answer, talker });
  needle = key;
  const extra = [...pins].filter(([, pin]) => !pin.talker);
  for (const [old] of extra.slice(0, Math.max(0, extra.length - LOOKUPS_LIMIT))) pins.delete(old);
  drawPins();
  return answer;
}

async function placeAgain(epoch) {
  sampling = epoch;
  caption();
  try {
    await placePins();
    await new Promise((resume) => setTimeout(resume, SAMPLING_DELAY_MS));
    if (sampling !== epoch) return;
    const names = Array.from({ length: SAMPLES }, (_, index) => `ring-sample-${index + 1}`);
    const answers = await inTurns(names, (name) => (sampling === epoch ? ring("key", name) : null));
    if (sampling !== epoch) return;
    const before = new Map(sampled.answers.map((answer) => [answer.key, answer.owner]));
    sampled = { epoch, answers };
    drawTicks(before);
  } catch {
    // The poll tells about a server that does not answer; the caption below says from which epoch the ticks are.
  }
  if (sampling === epoch) sampling = null;
  caption();
}

async function placePins() {
  await Promise.all([...pins.values()].map(async (pin) => {
    const before = pin.answer?.owner;
    pin.answer = await ring(pin.kind, pin.name);
    if (before && before !== pin.answer.owner) tell(`${label(pin)} moved from ${before} to ${pin.answer.owner}`, { member: pin.answer.owner });
  })).catch(() => {}); // as above
  drawPins();
  if (pins.get(needle)?.answer) onNeedle(pins.get(needle).answer);
}

async function inTurns(names, ask) {
  const answers = new Array(names.length);
  let next = 0;
  const worker = async () => {
    while (next < names.length) {
      const index = next++;
      answers[index] = await ask(names[index]);
    }
  };
  await Promise.all(Array.from({ length: SAMPLING_WIDTH }, worker));
  return answers;
}

function caption() {
  const base = `Inside, how many slots each node owns. Outside, ${SAMPLES} real placements`;
  if (sampled.epoch === view.epoch) say(byId("ring-caption"), `${base}, asked at epoch ${sampled.epoch}.`);
  else if (sampling !== null) say(byId("ring-caption"), `${base}, being asked again for epoch ${view.epoch}…`);
  else if (sampled.epoch !== null) say(byId("ring-caption"), `${base}, still those of epoch ${sampled.epoch}.`);
  else say(byId("ring-caption"), `${base}, not known yet.`);
}

function drawShares() {
  const owners = view.members.filter((member) => member.slots > 0);
  const parts = [];
  let from = 0;
  for (const owner of owners) {
    const to = from + owner.slots / total;
    const share = `${owner.id}: ${number(owner.slots)} slots, ${percent(owner.slots)}`;
    parts.push(svg("path", { class: `share ${colour(owner.id)} ${owner.state}`, d: arc(148, 172, from, to, owners.length > 1 ? 1.5 : 0) }, svg("title", {}, share)));
    if (to - from >= LABEL_FROM_SHARE) parts.push(...shareLabel(owner, (from + to) / 2));
    from = to;
  }
  layers.shares.replaceChildren(...parts);
  drawMiddle(owners.length);
  const words = owners.map((owner) => `${owner.id} owns ${percent(owner.slots)} of ${number(total)} slots`).join(", ");
  drawing.setAttribute("aria-label", words || "No node owns a slot");
}

function shareLabel(owner, middle) {
  const [x, y] = at(116, middle);
  return [
    svg("text", { class: "share-name", x, y: y - 2 }, owner.id),
    svg("text", { class: "share-part", x, y: y + 14 }, percent(owner.slots)),
  ];
}

function drawMiddle(owners) {
  layers.middle.replaceChildren(
    svg("text", { class: "middle-number", y: 4 }, number(total)),
    svg("text", { class: "middle-words", y: 24 }, owners === 1 ? "slots, 1 owner" : `slots, ${owners} owners`),
    svg("text", { class: "middle-words", y: -24 }, `epoch ${view.epoch}`));
}

function drawTicks(before) {
  layers.ticks.replaceChildren(...sampled.answers.flatMap(({ key, slot, owner, standby }) => {
    const moved = before.has(key) && before.get(key) !== owner;
    const title = `slot ${number(slot)}: ${owner ?? "nobody"}${standby ? `, standby ${standby}` : ""}`;
    return [
      tick(`tick ${colour(owner)}${moved ? " moved" : ""}`, 191, 211, slot, title),
      standby ? tick(`tick standby ${colour(standby)}`, 182, 187, slot, title) : null,
    ];
  }).filter(Boolean));
}

function tick(name, inner, outer, slot, title) {
  const [x1, y1] = at(inner, slot / total);
  const [x2, y2] = at(outer, slot / total);
  return svg("line", { class: name, x1, y1, x2, y2 }, svg("title", {}, title));
}

function drawPins() {
  const shown = [...pins].filter(([, pin]) => pin.answer).sort(([, a], [, b]) => a.answer.slot - b.answer.slot);
  let last = -Infinity;
  let lift = 0;
  layers.pins.replaceChildren(...shown.map(([key, pin]) => {
    const turn = pin.answer.slot / total;
    lift = turn - last < 0.02 ? (lift + 1) % 3 : 0; // neighbours step outwards, so that their names do not cover each other
    last = turn;
    return drawPin(pin, turn, lift, key === needle);
  }));
}

function drawPin(pin, turn, lift, isNeedle) {
  const [x1, y1] = at(isNeedle ? 176 : 191, turn);
  const [x, y] = at(221, turn);
  const [tx, ty] = at(233 + lift * 13, turn);
  const side = Math.abs(tx) < 30 ? "middle" : tx > 0 ? "start" : "end";
  const { owner, slot } = pin.answer;
  return svg("g", { class: `pin ${colour(owner)}${isNeedle ? " needle" : ""}` },
    svg("title", {}, `${label(pin)}: slot ${number(slot)}, owner ${owner}`),
    svg("line", { x1, y1, x2: x, y2: y }),
    svg("circle", { cx: x, cy: y, r: 6 }),
    svg("text", { x: tx, y: ty + 4, "text-anchor": side }, label(pin)));
}

/** The answer under the look-up box. */
export function describe({ key, slot, owner, standby, epoch }) {
  const row = (term, ...value) => el("div", {}, el("dt", {}, term), el("dd", {}, ...value));
  const named = (id) => (id ? [el("span", { class: `dot ${colour(id)}` }), ` ${id}`] : ["none"]);
  return el("dl", { class: "facts" },
    row("key", el("code", {}, key)), row("slot", number(slot)),
    row("owner", ...named(owner)), row("standby", ...named(standby)), row("epoch", String(epoch)));
}

const label = ({ name }) => (name.length > 14 ? `${name.slice(0, 13)}…` : name);
const percent = (slots) => `${((100 * slots) / total).toFixed(1)} %`;

/** A point at `turn` (0 to 1, clockwise from the top) of the circle with this radius. */
function at(radius, turn) {
  const angle = 2 * Math.PI * (turn - 0.25);
  return [round(radius * Math.cos(angle)), round(radius * Math.sin(angle))];
}

/** The outline of a ring's piece; `gap` units are left out between neighbours. */
function arc(inner, outer, from, to, gap) {
  const pad = gap / (2 * Math.PI * ((inner + outer) / 2));
  const end = Math.min(to, from + 0.99999); // a full circle would start and end at one point and vanish
  const [a, b] = [from + pad, Math.max(from + pad, end - pad)];
  const large = b - a > 0.5 ? 1 : 0;
  return `M${at(outer, a)}A${outer} ${outer} 0 ${large} 1 ${at(outer, b)}L${at(inner, b)}A${inner} ${inner} 0 ${large} 0 ${at(inner, a)}Z`;
}

const round = (value) => Math.round(value * 100) / 100;
