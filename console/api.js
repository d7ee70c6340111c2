// The public HTTP API of the same origin. The page has no other way to the cluster; its chat boxes are clients like any others.

const TOKEN_KEY = "ringway.token";
/** A poll that takes longer is shown as silence; the next one asks anew. */
const READ_DEADLINE_MS = 2_000;
/** An action answers when it is carried out or under way. Longer than this, and the person should be told that nobody knows. */
const ACTION_DEADLINE_MS = 30_000;

/** An answer other than success. `status` 0: there was no answer. */
export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** Takes the token out of the address (`/#token=T`), so that it does not stay in the bar, in history or in a screenshot. */
export function takeTokenFromAddress() {
  const found = /^#(?:.*&)?token=([^&]+)/.exec(location.hash);
  if (!found) return false;
  setToken(decoded(found[1]));
  history.replaceState(null, "", location.pathname + location.search);
  return true;
}

export const token = () => sessionStorage.getItem(TOKEN_KEY);
export const setToken = (value) => sessionStorage.setItem(TOKEN_KEY, value);

export const members = () => call("GET", "admin/members", READ_DEADLINE_MS);
export const addNode = () => call("POST", "admin/members", ACTION_DEADLINE_MS);
export const act = (id, action) =>
  call("POST", `admin/members/${encodeURIComponent(id)}/${action}`, ACTION_DEADLINE_MS);
/** `kind` is `user` or `key` (a channel's full name). */
export const ring = (kind, name) => call("GET", `admin/ring?${kind}=${encodeURIComponent(name)}`, READ_DEADLINE_MS);

/** Where clients connect: a host with its port, or "" for where the page is. */
let clientsAt = "";

/** Asks where clients connect. False: nowhere, for this process is no gateway. Without an answer it is where the page is. */
export async function findClients() {
  const { clients } = await call("GET", "console/clients.json", READ_DEADLINE_MS).catch(() => ({ clients: "" }));
  clientsAt = clients ?? "";
  return clients !== null;
}

/** Where a plain client of this user connects. */
export function socketAddress(user) {
  const base = clientsAt ? `${location.protocol}//${clientsAt}/` : document.baseURI;
  const address = new URL(`socket/${encodeURIComponent(user)}`, base);
  address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
  return address.href;
}

async function call(method, path, deadline) {
  const answer = await send(method, path, deadline);
  const body = await answer.text().catch(() => "");
  const value = parsed(body);
  if (answer.ok && value !== undefined) return value;
  if (answer.ok) throw new ApiError(answer.status, `The server answered ${path} with something that is not JSON.`);
  throw new ApiError(answer.status, value?.error ?? (body.trim() || `The server answered ${answer.status} to ${method} ${path}.`));
}

async function send(method, path, deadline) {
  const headers = token() ? { Authorization: `Bearer ${headerBytes(token())}` } : {};
  try {
    return await fetch(new URL(path, document.baseURI), {
      method, headers, cache: "no-store", signal: AbortSignal.timeout(deadline),
    });
  } catch (error) {
    const late = error.name === "TimeoutError";
    throw new ApiError(0, late
      ? `No answer to ${method} ${path} within ${deadline / 1000} s. It may or may not have been carried out.`
      : `The server could not be reached for ${method} ${path}.`);
  }
}

function parsed(body) {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

/** Any non-empty string is a valid token, but `fetch` takes headers as bytes: so it gets the token's UTF-8 bytes. */
function headerBytes(text) {
  return String.fromCharCode(...new TextEncoder().encode(text));
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
