/**
 * Connections between the proxies of a group, on machines of their own: TLS with a key that both ends have from the settings' secret, so that each proves itself to the other and no certificates are needed
 * (RFC 4279 and 5489; Node: "TLS-PSK"). The exchange of keys is a fresh one each time: what was recorded stays closed when the secret becomes known.
 */
import { createHash } from 'node:crypto';
import type * as net from 'node:net';
import * as tls from 'node:tls';

export interface GroupAddress {
  readonly host: string;
  readonly port: number;
}

const IDENTITY = 'causeway-cql-group';
const protocol = { ciphers: 'ECDHE-PSK-CHACHA20-POLY1305', minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' } as const;
const CONNECT_MS = 3000;

/** The secret is long enough not to be guessed; this makes it as long as the key has to be. */
export function groupKey(secret: string): Buffer {
  return createHash('sha256').update(`${IDENTITY}\0${secret}`).digest();
}

/** Rejects when nobody answers there, or one who has another secret. */
export function connectToMember({ host, port }: GroupAddress, key: Buffer): Promise<net.Socket> {
  return new Promise((resolve, reject) => {
    const socket = tls.connect({ host, port, ...protocol, checkServerIdentity: () => undefined, pskCallback: () => ({ psk: key, identity: IDENTITY }) });
    const timer = setTimeout(() => socket.destroy(new Error(`${host}:${port} has not answered within ${CONNECT_MS} ms`)), CONNECT_MS);
    socket.once('close', () => clearTimeout(timer));
    socket.once('error', (error) => reject(error));
    socket.once('secureConnect', () => {
      clearTimeout(timer);
      socket.removeAllListeners('error');
      resolve(socket);
    });
  });
}

/** `met` gets whoever has proven that it knows the secret. */
export async function listenForMembers({ host, port }: GroupAddress, key: Buffer, met: (socket: net.Socket) => void): Promise<AsyncDisposable> {
  const sockets = new Set<net.Socket>();
  const server = tls.createServer({ ...protocol, handshakeTimeout: CONNECT_MS, pskCallback: (_socket, identity) => (identity === IDENTITY ? key : null) }, met);
  server.on('connection', (socket: net.Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  return {
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
