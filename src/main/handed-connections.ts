/** Connections that the supervisor hands to this worker. */
import type * as net from 'node:net';
import type { ConnectionAnswer, DoorName, HandedConnection } from './shared-port.ts';

export interface HandedConnections {
  /** Later ones go to another worker. */
  refuse(): void;
}

export function takeConnections(doors: Readonly<Record<DoorName, ((socket: net.Socket) => void) | undefined>>): HandedConnections {
  let isRefusing = false;
  process.on('message', (message: unknown, socket: unknown) => {
    const { type, id, door } = message as HandedConnection;
    if (type !== 'connection') return;
    const take = isRefusing ? undefined : doors[door];
    const answer: ConnectionAnswer = { type: 'connection_answer', id, isTaken: take !== undefined };
    // Said first: a connection of which something was read is nobody else's any more.
    process.send?.(answer);
    // Undefined when the client has gone already.
    if (isSocket(socket)) (take ?? destroy)(socket);
  });
  return { refuse: () => (isRefusing = true) };
}

function isSocket(value: unknown): value is net.Socket {
  return typeof value === 'object' && value !== null && 'remoteAddress' in value;
}

/** This process's hold on it. */
function destroy(socket: net.Socket): void {
  socket.destroy();
}
