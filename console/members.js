// The table of members: one row each, one button per action, and the server's own words when it refuses.

import { act } from "./api.js";
import { number, slotsOf } from "./changes.js";
import { el, byId, say } from "./dom.js";
import { tell } from "./events.js";
import { colour } from "./palette.js";

/** Every action: what it means, in which states it can mean something, and how its doing is called. The server has the last word. */
const ACTIONS = [
  { name: "stop", doing: "stopping", hint: "Drain and leave (SIGTERM)", when: ["joining", "active", "resting"] },
  { name: "start", doing: "starting", hint: "Start it again under the same id", when: ["down"] },
  { name: "kill", doing: "killing", hint: "kill -9: no goodbye", when: ["joining", "active", "draining", "resting", "suspect"], process: true },
  { name: "freeze", doing: "freezing", hint: "SIGSTOP: alive, but silent", when: ["joining", "active", "draining", "resting"] },
  { name: "thaw", doing: "thawing", hint: "SIGCONT: go on after a freeze", when: ["suspect"], process: true },
  { name: "remove", doing: "removing", hint: "Forget a member that is down", when: ["down"] },
];

const body = byId("member-rows");
const rows = new Map();
const busy = new Map(); // id -> what is being done
const frozen = new Set(); // frozen from this page: before the cluster notices, its state still says active

let onAction = () => {};
/** `listener` is called when an action begins and when it ends: time to look closely. */
export const whenActing = (listener) => { onAction = listener; };

export function show(view) {
  const total = slotsOf(view);
  for (const [id, row] of rows) if (!view.members.some((member) => member.id === id)) forget(id, row);
  view.members.forEach((member, index) => {
    const row = rows.get(member.id) ?? newRow(member);
    update(row, member, total);
    if (body.children[index] !== row.line) body.insertBefore(row.line, body.children[index] ?? null);
  });
}

/** Shows an error as the server worded it, until dismissed or until the next action. */
export function showProblem(text) {
  byId("problem").hidden = !text;
  say(byId("problem-text"), text);
}

/** Runs an action with its progress and its outcome told. `member` is null for adding one. */
export async function perform(words, member, request) {
  showProblem("");
  onAction();
  const from = performance.now();
  try {
    const answer = await request();
    tell(`${words}: done, answered in ${Math.round(performance.now() - from)} ms`, { member, kind: "act" });
    return answer;
  } catch (error) {
    showProblem(error.message);
    tell(`${words}: ${error.message}`, { member, kind: "bad" });
    return null;
  } finally {
    onAction();
  }
}

function newRow(member) {
  const cell = (name) => el("td", { class: name });
  const row = {
    dot: el("span", { class: "dot" }), state: el("span", { class: "state" }), process: el("span", { class: "quiet under" }),
    bar: el("span", { class: "bar-fill" }), slots: el("span", { class: "bar-text" }),
    users: cell("num"), sockets: cell("num"), address: el("code", { class: "under" }), buttons: cell("do"),
  };
  row.line = el("tr", { "data-member": member.id },
    el("th", { scope: "row" }, row.dot, el("span", {}, el("span", { class: "id" }, member.id), row.address)),
    el("td", { class: "how" }, row.state, row.process),
    el("td", { class: "wide" }, el("span", { class: "bar" }, row.bar), row.slots),
    row.users, row.sockets, row.buttons);
  row.users.dataset.label = "users";
  row.sockets.dataset.label = "sockets";
  row.actions = member.orchestrator ? explain(row) : buttons(row, member.id);
  rows.set(member.id, row);
  return row;
}

function explain(row) {
  const why = "This process started the others and keeps the list of members: end it with Ctrl-C where it runs.";
  row.buttons.append(el("span", { class: "quiet", title: why }, "orchestrator: Ctrl-C ends it"));
  return [];
}

function buttons(row, id) {
  const group = el("div", { class: "buttons", role: "group", "aria-label": `Actions on ${id}` });
  row.buttons.append(group);
  return ACTIONS.map((action) => {
    const press = () => pressed(id, action);
    const button = el("button", { type: "button", class: action.name, title: action.hint, "aria-label": `${action.name} ${id}`, click: press }, action.name);
    group.append(button);
    return { action, button };
  });
}

async function pressed(id, action) {
  if (busy.has(id)) return;
  busy.set(id, action);
  refreshButtons(id);
  const done = await perform(`${action.name} ${id}`, id, () => act(id, action.name));
  busy.delete(id);
  if (done && action.name === "freeze") frozen.add(id);
  else if (done) frozen.delete(id);
  refreshButtons(id);
}

function update(row, member, total) {
  row.member = member;
  row.line.className = member.state;
  row.dot.className = `dot ${colour(member.id)}`;
  row.state.dataset.state = member.state;
  row.bar.className = `bar-fill ${colour(member.id)}`;
  row.bar.style.width = `${total ? (100 * member.slots) / total : 0}%`;
  const weight = member.weight === 1 ? "" : `, weight ${member.weight}`;
  say(row.slots, member.roles.includes("node") ? number(member.slots) + weight : "–");
  say(row.users, member.roles.includes("node") ? number(member.users) : "–");
  say(row.sockets, member.roles.includes("gateway") ? number(member.sockets) : "–");
  say(row.address, member.address);
  say(row.process, `${member.roles.join(" + ")}, ${member.pid ? `pid ${member.pid}` : "no process"}`);
  refreshButtons(member.id);
}

function refreshButtons(id) {
  const row = rows.get(id);
  if (!row) return;
  const doing = busy.get(id);
  say(row.state, doing ? `${doing.doing}…` : row.member.state);
  row.line.setAttribute("aria-busy", String(Boolean(doing)));
  for (const { action, button } of row.actions) {
    button.disabled = Boolean(doing) || !means(action, row.member);
    button.classList.toggle("pressed", doing === action);
  }
}

/** Whether an action can mean something now. A member that is down may still have a frozen process (`pid` not 0). */
function means(action, member) {
  if (action.when.includes(member.state)) return true;
  if (action.name === "thaw" && frozen.has(member.id)) return true;
  return Boolean(action.process) && member.state === "down" && member.pid !== 0;
}

function forget(id, row) {
  row.line.remove();
  rows.delete(id);
  busy.delete(id);
  frozen.delete(id);
}
