/**
 * A replication connection: once the client is who it says it is, its bytes go to the source and the source's to it, unread. Nothing is
 * routed: it is the source's own stream that such a client wants, and statements on it run on the source as any program's that connects to it.
 * https://www.postgresql.org/docs/current/protocol-replication.html
 */
import { sendCancel } from '../wire/connect-server.ts';
import { writeCancelRequest } from '../wire/startup-packet.ts';
import type { Admitted, Login } from './handshake.ts';

const CANCEL_TIMEOUT_MS = 5_000;

export interface PassedClient extends Admitted {
  readonly home: Login;
}

export class PassedConnection {
  readonly client: PassedClient;
  readonly startedAtMs: number;
  readonly #ended: (connection: PassedConnection) => void;
  #isOver = false;

  constructor(client: PassedClient, nowMs: number, ended: (connection: PassedConnection) => void) {
    this.client = client;
    this.startedAtMs = nowMs;
    this.#ended = ended;
    const { socket, home: login, early } = client;
    const server = login.socket;
    if (early.length > 0) server.write(early);
    socket.on('data', (chunk: Buffer) => {
      if (!server.write(chunk)) socket.pause();
    });
    server.on('drain', () => socket.resume());
    login.input.attach({
      // What waits for a slow client has to stay as it is.
      keeps: () => socket.writableLength > 0,
      take: (chunk) => {
        if (!socket.write(chunk)) server.pause();
        return socket.writableLength === 0;
      },
    });
    socket.on('drain', () => server.resume());
    for (const [one, other] of [[socket, server], [server, socket]] as const) {
      one.on('end', () => other.end());
      one.on('error', () => one.destroy());
      one.on('close', () => {
        other.destroySoon();
        this.#end();
      });
    }
  }

  get key(): { readonly pid: number; readonly key: Buffer } {
    return this.client.home;
  }

  cancel(done: () => void): void {
    const { target, home: login } = this.client;
    sendCancel(target, writeCancelRequest(login.pid, login.key), CANCEL_TIMEOUT_MS, done);
  }

  shutDown(): void {
    this.client.socket.destroy();
    this.client.home.socket.destroy();
  }

  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#ended(this);
  }
}
