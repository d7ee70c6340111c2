// A client of the plain protocol: one WebSocket at /socket/{user} that comes back when it was closed.

import { socketAddress } from "./api.js";

/** First and longest wait before coming back; the actual wait is drawn between 0 and the current one, so that many clients do not return at once. */
const WAIT_FROM_MS = 500;
const WAIT_TO_MS = 10_000;

/** What the `type` of a message from the server says. */
export const TYPE = { connected: 1, reconnect: 2, message: 3, pulse: 4, refused: 5 };

/**
 * `onState(state, detail)` with `connecting`, `open`, `waiting` (detail: ms until the next try), `onMessage(message)` with the parsed
 * server message, and `onClosed(why)` once per open socket that ended without our asking.
 */
export class PlainClient {
  #socket = null;
  #timer = null;
  #failures = 0;

  constructor({ onState, onMessage, onClosed }) {
    this.onState = onState;
    this.onMessage = onMessage;
    this.onClosed = onClosed;
  }

  get open() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  /** Connects as this user; an older socket of this client is closed on purpose and not counted. */
  connect(user) {
    this.#let(this.#socket);
    clearTimeout(this.#timer);
    this.user = user;
    this.#failures = 0;
    this.#dial();
  }

  /** Sends a text frame; false when there is no open socket. */
  send(text) {
    if (!this.open) return false;
    this.#socket.send(text);
    return true;
  }

  #dial() {
    this.onState("connecting");
    const socket = new WebSocket(socketAddress(this.user));
    let opened = false;
    socket.onopen = () => {
      opened = true;
      this.onState("open");
    };
    socket.onmessage = ({ data }) => this.#received(socket, data);
    socket.onclose = ({ code, reason }) => {
      if (opened) this.onClosed(`closed with ${code}${reason ? ` ${reason}` : ""}`);
      this.#comeBack();
    };
    this.#socket = socket;
  }

  #received(socket, data) {
    let message;
    try {
      message = JSON.parse(data);
    } catch {
      message = { type: TYPE.refused, content: `not JSON: ${String(data).slice(0, 200)}`, from: null };
    }
    if (message.type === TYPE.connected) this.#failures = 0; // only now is it certain that this server serves us
    this.onMessage(message);
    if (message.type !== TYPE.reconnect) return;
    this.#let(socket);
    this.onClosed("the server asked to reconnect");
    this.#comeBack();
  }

  #comeBack() {
    const wait = Math.random() * Math.min(WAIT_TO_MS, WAIT_FROM_MS * 2 ** this.#failures);
    this.#failures += 1;
    this.onState("waiting", wait);
    this.#timer = setTimeout(() => this.#dial(), wait);
  }

  /** Closes without a trace. */
  #let(socket) {
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }
}
