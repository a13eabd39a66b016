/** A client's socket while it logs in: whose events come here until a session takes it over, through the change to TLS. */
import type * as net from 'node:net';

export interface LoginEvents {
  readonly data: (chunk: Buffer) => void;
  /** The connection is of no more use. */
  readonly error: () => void;
  readonly close: () => void;
}

export class LoginSocket {
  readonly #events: LoginEvents;
  #socket: net.Socket;

  constructor(socket: net.Socket, events: LoginEvents) {
    this.#events = events;
    this.#socket = socket;
    this.#attach();
  }

  get current(): net.Socket {
    return this.#socket;
  }

  /** What comes next is for TLS. */
  stopReading(): void {
    this.#socket.off('data', this.#events.data);
  }

  /** The one inside which `secure` speaks ends with its own errors. */
  replaceBy(secure: net.Socket): void {
    const plain = this.#socket;
    this.release();
    plain.on('error', () => plain.destroy());
    this.#socket = secure;
    this.#attach();
  }

  release(): void {
    for (const [name, listener] of Object.entries(this.#events)) this.#socket.off(name, listener);
  }

  #attach(): void {
    for (const [name, listener] of Object.entries(this.#events)) this.#socket.on(name, listener);
  }
}
