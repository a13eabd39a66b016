/**
 * A port that clients connect to, of all gateway workers together: the supervisor accepts, and hands each connection to a worker. What a worker had
 * not yet taken when it ended goes to another one. (`node:cluster` forgets such a connection: its client waits for an answer that nobody gives.)
 */
import type { ChildProcess } from 'node:child_process';
import * as net from 'node:net';
import type { Log } from '../../config/runtime.ts';

export type DoorName = 'postgres' | 'mysql';

/** Supervisor → worker, with the socket. */
export interface HandedConnection {
  readonly type: 'connection';
  readonly id: number;
  readonly door: DoorName;
}

/** Worker → supervisor, before a byte of the connection is read. False: it takes no more. */
export interface ConnectionAnswer {
  readonly type: 'connection_answer';
  readonly id: number;
  readonly isTaken: boolean;
}

interface Offer {
  readonly worker: ChildProcess;
  readonly door: DoorName;
  readonly socket: net.Socket;
}

/** Connections that wait because there is no worker; more are refused. */
const MAX_WAITING = 4096;
const BACKLOG = 1024;

export class SharedPorts {
  readonly #log: Log;
  readonly #servers: net.Server[] = [];
  /** Those that take connections, the one whose turn it is first. */
  readonly #workers: ChildProcess[] = [];
  readonly #offers = new Map<number, Offer>();
  #waiting: Omit<Offer, 'worker'>[] = [];
  #counter = 0;

  constructor(log: Log) {
    this.#log = log;
  }

  /** Rejects when the port is taken. */
  listen(door: DoorName, at: { readonly host: string; readonly port: number }): Promise<void> {
    const server = net.createServer({ pauseOnConnect: true }, (socket) => this.#accepted(door, socket));
    this.#servers.push(server);
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen({ ...at, backlog: BACKLOG }, () => {
        server.off('error', reject);
        server.on('error', (error) => this.#log.error('listener failed', { door, error: error.message }));
        resolve();
      });
    });
  }

  /** From now on until it ends, or says that it takes no more. */
  add(worker: ChildProcess): void {
    this.#workers.push(worker);
    worker.on('message', (message: unknown) => {
      const answer = message as ConnectionAnswer;
      if (answer.type === 'connection_answer') this.#answered(worker, answer);
    });
    // Once every answer that it has given has been read. ('disconnect' does not come while a socket is on its way.)
    worker.once('close', () => {
      this.#remove(worker);
      for (const [id, offer] of [...this.#offers]) if (offer.worker === worker) this.#again(id);
    });
    this.#offerWaiting();
  }

  close(): void {
    for (const server of this.#servers) server.close();
    for (const { socket } of [...this.#waiting, ...this.#offers.values()]) socket.destroy();
    this.#waiting = [];
    this.#offers.clear();
  }

  #accepted(door: DoorName, socket: net.Socket): void {
    // Nothing is read here, so that a client that goes away is met by the worker.
    socket.on('error', () => socket.destroy());
    this.#offer({ door, socket });
  }

  #offer(connection: Omit<Offer, 'worker'>): void {
    const worker = this.#workers.shift();
    if (!worker) {
      if (this.#waiting.length < MAX_WAITING) this.#waiting.push(connection);
      else connection.socket.destroy();
      return;
    }
    this.#workers.push(worker);
    this.#counter += 1;
    const id = this.#counter;
    this.#offers.set(id, { ...connection, worker });
    const message: HandedConnection = { type: 'connection', id, door: connection.door };
    worker.send(message, connection.socket, { keepOpen: true }, (error) => {
      if (!error) return;
      this.#remove(worker);
      this.#again(id);
    });
  }

  #answered(worker: ChildProcess, { id, isTaken }: ConnectionAnswer): void {
    if (!isTaken) {
      this.#remove(worker);
      this.#again(id);
      return;
    }
    // This side's hold on it only: the connection is the worker's.
    this.#offers.get(id)?.socket.destroy();
    this.#offers.delete(id);
  }

  #again(id: number): void {
    const offer = this.#offers.get(id);
    if (!offer) return;
    this.#offers.delete(id);
    this.#offer(offer);
  }

  #offerWaiting(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const connection of waiting) this.#offer(connection);
  }

  #remove(worker: ChildProcess): void {
    const at = this.#workers.indexOf(worker);
    if (at >= 0) this.#workers.splice(at, 1);
  }
}
