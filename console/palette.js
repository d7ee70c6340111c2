// One colour per node that owns slots, the same in ring, table, chat and events. Colour is never the only sign: the name is always beside it.

/** Colours in style.css (`.c0` to `.c9`), chosen to differ in lightness too. With more nodes they repeat. */
const COLOURS = 10;

const taken = new Map();

/** Gives every listed node a colour, `node-1` the first and so on, so that a reload shows the same picture. */
export function assign(members) {
  const listed = new Set(members.map((member) => member.id));
  for (const id of taken.keys()) if (!listed.has(id)) taken.delete(id);
  for (const { id, roles } of members) if (roles.includes("node") && !taken.has(id)) taken.set(id, free(id));
}

/** A class name; `none` for members without slots and for what is not known. */
export const colour = (id) => (taken.has(id) ? `c${taken.get(id)}` : "none");

function free(id) {
  const wished = (Number(/(\d+)$/.exec(id)?.[1] ?? 1) + COLOURS - 1) % COLOURS;
  const used = new Set(taken.values());
  for (let step = 0; step < COLOURS; step += 1) {
    const next = (wished + step) % COLOURS;
    if (!used.has(next)) return next;
  }
  return wished;
}
