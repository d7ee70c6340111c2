// The page's composition root: takes the token, starts the poll, and passes what it learns to the ring, the table and the chats.

import * as api from "./api.js";
import { changesBetween, count, slotsOf } from "./changes.js";
import { Chat } from "./chat.js";
import { byId, say } from "./dom.js";
import { clock, tell } from "./events.js";
import * as table from "./members.js";
import * as palette from "./palette.js";
import { Poll } from "./poll.js";
import * as ring from "./ring.js";

let last = null;
let lastAt = null;

const poll = new Poll({ onView: showView, onFreshness: showFreshness });

start();

function start() {
  api.takeTokenFromAddress();
  window.addEventListener("hashchange", () => api.takeTokenFromAddress() && poll.now());
  wireGate();
  wireActions();
  wireLookup();
  poll.now();
  api.findClients().then((found) => (found ? startChats() : hideChats()));
}

function showView(view) {
  palette.assign(view.members);
  if (last) for (const { text, member } of changesBetween(last, view)) tell(text, { member });
  else tell(`epoch ${view.epoch}: ${count(view.members.length, "member")}, ${count(slotsOf(view), "slot")}`);
  last = view;
  lastAt = new Date();
  table.show(view);
  ring.show(view);
  say(byId("summary"), summary(view));
}

function summary({ members, epoch }) {
  const nodes = members.filter((member) => member.roles.includes("node"));
  const active = nodes.filter((member) => member.state === "active").length;
  const sum = (field) => members.reduce((total, member) => total + member[field], 0);
  return `${active} of ${count(nodes.length, "node")} active, ${count(sum("users"), "user")}, ${count(sum("sockets"), "socket")}, epoch ${epoch}`;
}

function showFreshness({ state, ageMs, reason }) {
  const mark = byId("freshness");
  mark.dataset.state = state;
  say(mark, freshnessWords(state, ageMs));
  mark.title = reason;
  byId("cluster").classList.toggle("stale", state === "stale" && last !== null);
  byId("cluster").hidden = state === "absent" || (state === "refused" && last === null);
  if (state === "absent") say(byId("summary"), "This server has no admin API (no admin token is configured), so the page shows only the chat boxes.");
  showGate(state);
}

function freshnessWords(state, ageMs) {
  if (state === "live") return "live";
  if (state === "stale" && lastAt) return `no answer for ${Math.round(ageMs / 1_000)} s, showing ${clock(lastAt)}`;
  return { stale: "the server does not answer", refused: api.token() ? "token refused" : "token needed", absent: "no admin API", waiting: "waiting" }[state];
}

/** 401: the token is missing or wrong. */
function showGate(state) {
  const gate = byId("gate");
  if (gate.hidden !== (state === "refused")) return;
  gate.hidden = state !== "refused";
  if (gate.hidden) return;
  say(byId("gate-reason"), api.token()
    ? "The server refused this token (401). Open the address that the demo printed when it started, or paste its token here."
    : "The server asks for its admin token (401). Open the address that the demo printed when it started, or paste the token here.");
  say(byId("summary"), "Members and ring are shown with the admin token only.");
}

function wireGate() {
  byId("gate-form").addEventListener("submit", (event) => {
    event.preventDefault();
    api.setToken(byId("gate-token").value);
    byId("gate-token").value = "";
    byId("gate").hidden = true;
    poll.now();
  });
}

function wireActions() {
  table.whenActing(() => poll.hurry());
  byId("problem-close").addEventListener("click", () => table.showProblem(""));
  byId("add").addEventListener("click", async ({ target }) => {
    target.disabled = true;
    say(target, "Adding a node…");
    await table.perform("add a node", null, api.addNode);
    say(target, "Add a node");
    target.disabled = false;
  });
}

function wireLookup() {
  const place = byId("lookup-answer");
  const show = (answer) => place.replaceChildren(ring.describe(answer));
  ring.whenNeedleMoves(show);
  byId("lookup").addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      show(await ring.lookUp(byId("lookup-kind").value, byId("lookup-name").value));
    } catch (error) {
      place.replaceChildren(error.message);
    }
  });
}

/** This process is no gateway: clients connect elsewhere, and the page with chat boxes is there. */
function hideChats() {
  byId("closes").hidden = true;
  byId("chats").replaceChildren("This member is a node and holds no sockets: the page of a gateway has chat boxes.");
}

function startChats() {
  const hooks = {
    onClosed: (user, why) => {
      showCloses();
      tell(`${user}'s socket was lost: ${why}`, { kind: "bad" });
    },
    onOwner: (user, before, now) => tell(`${user}'s messages come from ${now} now (${before} before), on the same socket`, { member: now }),
    onUser: () => {
      chats.forEach((chat) => chat.partnerChanged());
      followUsers();
    },
  };
  const chats = ["alice", "bob"].map((user, index) => {
    const chat = new Chat(user, hooks);
    chat.node.dataset.box = index + 1;
    return chat;
  });
  const showCloses = () => {
    const closed = chats.reduce((sum, chat) => sum + chat.closed, 0);
    byId("closes").dataset.bad = String(closed > 0);
    say(byId("closes").firstElementChild, closed);
    say(byId("closes").lastChild, closed === 1 ? " socket closed" : " sockets closed");
  };
  const followUsers = () => ring.follow(chats.map((chat) => chat.user));
  byId("chats").append(...chats.map((chat) => chat.node));
  chats[0].pairWith(chats[1]);
  chats[1].pairWith(chats[0]);
  chats.forEach((chat) => chat.connect());
  followUsers();
}
