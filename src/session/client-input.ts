/**
 * What a client sends, read into memory that is used again as long as nothing of it is kept.
 *
 * Nothing is kept of a message that only passes to a leg (`passesOn`), once its bytes have left. Whatever handles a message in another way is taken to
 * keep parts of it: then the chunk is left with whoever has it, and another buffer is read into.
 */
import type * as net from 'node:net';
import { readInto } from '../wire/read-into.ts';
import { SocketInput } from '../wire/socket-input.ts';
import type { InputReader, LargeBuffers } from '../wire/socket-input.ts';

export interface InputSession {
  receive(chunk: Buffer): void;
  /** Bytes of chunks before, or of this one, are still to be handled or to leave. */
  readonly holdsInput: boolean;
  readonly drained: boolean;
}

export class ClientInput implements InputReader {
  readonly #session: InputSession;
  #isKept = false;

  constructor(session: InputSession) {
    this.#session = session;
  }

  read(socket: net.Socket, buffers: LargeBuffers): void {
    const input = new SocketInput(buffers);
    input.attach(this);
    if (!readInto(socket, input.options.onread)) return input.listen(socket);
    socket.once('close', () => input.close());
    const early: unknown = socket.read();
    if (Buffer.isBuffer(early)) this.#session.receive(early);
    socket.resume();
  }

  /** Of the message just handled. */
  handled(passesOn: boolean): void {
    if (!passesOn) this.#isKept = true;
  }

  keeps(): boolean {
    return this.#session.holdsInput;
  }

  get idle(): boolean {
    return this.#session.drained;
  }

  take(chunk: Buffer): boolean {
    this.#isKept = false;
    this.#session.receive(chunk);
    return !this.#isKept && !this.#session.holdsInput;
  }
}
