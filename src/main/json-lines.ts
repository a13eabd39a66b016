/** JSON objects over a stream, one per line: the transport between the control process and its gateway workers. */
import type { Socket } from 'node:net';

/** A line longer than this, or a peer that lets this much pile up, ends the connection: it starts afresh with a snapshot. */
const MAX_BUFFERED_BYTES = 64 * 1024 * 1024;

export interface JsonLines<Out> {
  send(message: Out): void;
  close(): void;
}

/** `onMessage` gets each parsed line; a line that is not JSON ends the connection. */
export function jsonLines<In, Out>(socket: Socket, onMessage: (message: In) => void): JsonLines<Out> {
  let parts: Buffer[] = [];
  let buffered = 0;
  socket.setNoDelay(true);
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk: Buffer) => {
    let start = 0;
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, start)) {
      const line = parts.length === 0 ? chunk.subarray(start, end) : Buffer.concat([...parts, chunk.subarray(start, end)]);
      parts = [];
      buffered = 0;
      start = end + 1;
      deliver(socket, line, onMessage);
    }
    if (start === chunk.length) return;
    parts.push(chunk.subarray(start));
    buffered += chunk.length - start;
    if (buffered > MAX_BUFFERED_BYTES) socket.destroy(new Error('line too long'));
  });
  return {
    send: (message) => {
      if (socket.destroyed) return;
      socket.write(`${JSON.stringify(message)}\n`);
      if (socket.writableLength > MAX_BUFFERED_BYTES) socket.destroy();
    },
    close: () => socket.destroy(),
  };
}

function deliver<In>(socket: Socket, line: Buffer, onMessage: (message: In) => void): void {
  let message: In;
  try {
    message = JSON.parse(line.toString('utf8')) as In;
  } catch (error) {
    socket.destroy(error instanceof Error ? error : undefined);
    return;
  }
  onMessage(message);
}
