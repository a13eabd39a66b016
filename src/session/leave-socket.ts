/** The end of a client's connection from this side. */
import type * as net from 'node:net';

const LEAVE_MS = 1_000;

/** Whatever else the client sends is read and dropped, so that it can read the last answer; not for long, as it need not close its side. */
export function leaveSocket(socket: net.Socket, answer?: Buffer): void {
  if (answer) socket.end(answer);
  else socket.end();
  socket.on('data', () => undefined);
  socket.resume();
  const timer = setTimeout(() => socket.destroy(), LEAVE_MS).unref();
  socket.once('close', () => clearTimeout(timer));
}
