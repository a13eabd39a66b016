/** What has come so far of the answer to a query of the gateway's own. */
import type { InternalReply } from '../execute/segment.ts';
import { readDataRow, readTag } from '../wire/backend-messages.ts';

const ROW = 68;
const COMPLETE = 67;

export class InternalAnswer {
  #rows: (string | null)[][] = [];
  #tag = '';
  #error: Buffer | undefined;
  #notices: Buffer[] = [];

  add(type: number, buffer: Buffer, start: number, length: number): void {
    if (type === ROW && start + length <= buffer.length) this.#rows.push(readDataRow(buffer, start));
    if (type === COMPLETE) this.#tag = readTag(buffer, start, length);
  }

  notice(message: Buffer): void {
    this.#notices.push(message);
  }

  /** The first one counts. */
  failed(message: Buffer): void {
    this.#error ??= message;
  }

  /** The whole, and begins anew. */
  take(): InternalReply {
    const reply = { rows: this.#rows, tag: this.#tag, error: this.#error, notices: this.#notices };
    this.#rows = [];
    this.#tag = '';
    this.#error = undefined;
    this.#notices = [];
    return reply;
  }
}
