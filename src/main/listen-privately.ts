/** A Unix socket that only this user reaches: what the processes of the product ask each other by. */
import * as fs from 'node:fs';
import type * as net from 'node:net';

/** A socket that a killed process has left is replaced. The end of it closes `sockets` too. Rejects when nobody can listen there. */
export async function listenPrivately(server: net.Server, socketPath: string, sockets: Iterable<net.Socket>): Promise<AsyncDisposable> {
  fs.rmSync(socketPath, { force: true });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(socketPath, resolve);
  });
  fs.chmodSync(socketPath, 0o600);
  return {
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
