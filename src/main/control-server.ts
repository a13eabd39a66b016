/** The control's end of the link to its workers: a Unix socket that only this user may open. */
import * as net from 'node:net';
import type { ControlMessage, WorkerMessage } from '../migrate/fleet-messages.ts';
import type { WorkerFleet } from '../migrate/worker-fleet.ts';
import { jsonLines } from './json-lines.ts';
import { listenPrivately } from './listen-privately.ts';

export async function listenForWorkers(socketPath: string, fleet: WorkerFleet): Promise<AsyncDisposable> {
  const sockets = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    sockets.add(socket);
    let attached: ReturnType<WorkerFleet['attach']> | undefined;
    const link = jsonLines<WorkerMessage, ControlMessage>(socket, (message) => {
      if (message.type === 'hello') attached = fleet.attach(message.workerId, { ...link, isDead: () => isDead(message.pid) });
      else attached?.receive(message);
    });
    socket.once('close', () => {
      sockets.delete(socket);
      attached?.closed();
    });
  });
  return await listenPrivately(server, socketPath, sockets);
}

function isDead(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'ESRCH';
  }
}
