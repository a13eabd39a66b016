/**
 * Packets of one connection to a MySQL server, over TCP or TLS.
 *
 * States: packets are kept until `next` asks for them → handed to the listener of `listen` (a command with a long answer, the binlog) → ended.
 * What ends the connection is told once, to whoever waits then.
 */
import * as net from 'node:net';
import type { Socket } from 'node:net';
import * as tls from 'node:tls';
import type { ConnectionOptions } from 'node:tls';
import { MigrationError } from '../../../config/migration-error.ts';
import { packet, PacketSplitter } from './packet-splitter.ts';

export interface PacketListener {
  readonly onPacket: (payload: Buffer) => void;
  readonly onEnd: (error: Error) => void;
}

export class ServerChannel {
  #socket: Socket;
  /** A Unix socket. */
  readonly #isLocal: boolean;
  #splitter: PacketSplitter;
  #sequence = 0;
  #kept: Buffer[] = [];
  #waiting: { readonly resolve: (payload: Buffer) => void; readonly reject: (error: Error) => void } | undefined;
  #listener: PacketListener | undefined;
  #ended: Error | undefined;
  #silenceMs = 0;

  private constructor(socket: Socket, isLocal: boolean) {
    this.#socket = socket;
    this.#isLocal = isLocal;
    this.#splitter = this.#newSplitter();
    this.#attach(socket);
  }

  static connect(host: string, port: number, timeoutMs: number): Promise<ServerChannel> {
    return new Promise((resolve, reject) => {
      const isLocal = host.startsWith('/');
      const socket = isLocal ? net.connect(host) : net.connect({ host, port, noDelay: true, keepAlive: true });
      const fail = (error: Error): void => {
        socket.destroy();
        reject(error);
      };
      socket.setTimeout(timeoutMs, () => fail(new Error(`no answer within ${timeoutMs} ms`)));
      socket.once('error', fail);
      socket.once('connect', () => {
        socket.off('error', fail);
        const channel = new ServerChannel(socket, isLocal);
        channel.#silenceMs = timeoutMs;
        resolve(channel);
      });
    });
  }

  /** Nobody else can read it: servers then want some passwords as they are. */
  get isPrivate(): boolean {
    return this.#isLocal || this.#socket instanceof tls.TLSSocket;
  }

  /** The server has been asked for TLS, and has sent nothing since. */
  encrypt(options: ConnectionOptions): Promise<void> {
    const plain = this.#socket;
    plain.removeAllListeners();
    return new Promise((resolve, reject) => {
      const secure = tls.connect({ ...options, socket: plain });
      secure.setTimeout(this.#silenceMs, () => secure.destroy(new Error(`no answer within ${this.#silenceMs} ms`)));
      secure.once('error', reject);
      secure.once('secureConnect', () => {
        secure.off('error', reject);
        this.#socket = secure;
        this.#splitter = this.#newSplitter();
        this.#attach(secure);
        resolve();
      });
    });
  }

  /** Ends the connection when nothing comes for so long, unless it is paused; 0 = never. */
  expectWithin(silenceMs: number): void {
    this.#silenceMs = silenceMs;
    this.#socket.setTimeout(silenceMs);
  }

  /** `isReply`: goes on with the sequence of the packet that it answers; a command begins a new one. */
  send(payload: Buffer, isReply = false): void {
    this.#sequence = isReply ? (this.#sequence + 1) & 0xff : 0;
    this.#socket.write(packet(payload, this.#sequence));
  }

  next(): Promise<Buffer> {
    const kept = this.#kept.shift();
    if (kept) return Promise.resolve(kept);
    if (this.#ended) return Promise.reject(this.#ended);
    return new Promise((resolve, reject) => (this.#waiting = { resolve, reject }));
  }

  listen(listener: PacketListener): void {
    for (const payload of this.#kept.splice(0)) listener.onPacket(payload);
    this.#listener = listener;
    if (this.#ended) this.#tellEnd(this.#ended);
  }

  /** Packets are kept for `next` again. */
  unlisten(): void {
    this.#listener = undefined;
  }

  pause(): void {
    this.#socket.pause();
    this.#socket.setTimeout(0);
  }

  resume(): void {
    this.#socket.setTimeout(this.#silenceMs);
    this.#socket.resume();
  }

  close(): void {
    this.#end(new Error('the connection was closed'));
  }

  #newSplitter(): PacketSplitter {
    return new PacketSplitter((payload, sequence) => {
      this.#sequence = sequence;
      if (this.#listener) this.#listener.onPacket(payload);
      else if (this.#waiting) {
        const { resolve } = this.#waiting;
        this.#waiting = undefined;
        resolve(payload);
      } else this.#kept.push(payload);
    });
  }

  #attach(socket: Socket): void {
    socket.on('data', (chunk: Buffer) => {
      try {
        this.#splitter.push(chunk);
      } catch (error) {
        this.#end(error instanceof Error ? error : new Error(String(error)));
      }
    });
    socket.on('timeout', () => this.#end(new MigrationError('MIG023', 'the server has sent nothing, not even a heartbeat')));
    socket.on('error', (error) => this.#end(error));
    socket.on('close', () => this.#end(new MigrationError('MIG023', 'the server closed the connection')));
  }

  #end(error: Error): void {
    if (this.#ended) return;
    this.#ended = error;
    this.#socket.destroy();
    this.#tellEnd(error);
  }

  #tellEnd(error: Error): void {
    const listener = this.#listener;
    const waiting = this.#waiting;
    this.#listener = undefined;
    this.#waiting = undefined;
    listener?.onEnd(error);
    waiting?.reject(error);
  }
}
