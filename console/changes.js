// What changed between two answers about the members, in sentences. Pure: no page, no clock.

export const count = (n, one, many = `${one}s`) => `${number(n)} ${n === 1 ? one : many}`;
export const number = (n) => n.toLocaleString("en-US");

/** All slots of the ring. The server has no separate number for it: every slot has exactly one owner. */
export const slotsOf = (view) => view.members.reduce((sum, member) => sum + member.slots, 0);

/** Events between two views, each `{ member, text }`; `member` is null for what concerns the cluster. */
export function changesBetween(before, after) {
  const old = new Map(before.members.map((member) => [member.id, member]));
  const events = after.members.flatMap((member) => changesOf(old.get(member.id), member));
  const present = new Set(after.members.map((member) => member.id));
  for (const id of old.keys()) if (!present.has(id)) events.push({ member: id, text: `${id} was removed` });
  const moved = slotMoves(old, after);
  if (moved) events.push({ member: null, text: `epoch ${before.epoch} → ${after.epoch}: ${moved}` });
  else if (before.epoch !== after.epoch) events.push({ member: null, text: `epoch ${before.epoch} → ${after.epoch}, no slot changed its owner` });
  return events;
}

function changesOf(before, after) {
  const { id } = after;
  if (!before) return [{ member: id, text: `${id} appeared, ${after.state}` }];
  const events = [];
  if (before.state !== after.state) events.push({ member: id, text: `${id} became ${after.state} (was ${before.state})` });
  else if (before.pid !== after.pid) events.push({ member: id, text: processWords(before.pid, id, after.pid) });
  if (before.weight !== after.weight) events.push({ member: id, text: `${id}'s weight ${before.weight} → ${after.weight}` });
  return events;
}

/** A `pid` of 0 means that there is no process. */
function processWords(before, id, after) {
  if (after === 0) return `${id}'s process ${before} ended`;
  return before === 0 ? `${id} has a process again, ${after}` : `${id} started again, process ${before} → ${after}`;
}

/** `node-1 +10,930, node-2 −21,845`: net numbers, which is all that two counts can tell. */
function slotMoves(old, after) {
  const known = new Set(after.members.map((member) => member.id));
  const gone = [...old.values()].filter((member) => !known.has(member.id)).map((member) => ({ ...member, slots: 0 }));
  return [...after.members, ...gone]
    .map((member) => ({ id: member.id, by: member.slots - (old.get(member.id)?.slots ?? 0) }))
    .filter(({ by }) => by !== 0)
    .map(({ id, by }) => `${id} ${by > 0 ? "+" : "−"}${number(Math.abs(by))}`)
    .join(", ");
}
