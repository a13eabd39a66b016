/** What has come so far of the answer to a query of the gateway's own. */
import type { InternalReply, Segment } from '../execute/segment.ts';
import { readDataRow, readTag } from '../wire/backend-messages.ts';
import { CUT, PASS, WHOLE } from '../wire/framing.ts';
import type { Verdict } from '../wire/framing.ts';

const T = { row: 68, complete: 67, copyData: 100, copyOut: 72 } as const;

export class InternalAnswer {
  #rows: (string | null)[][] = [];
  #tag = '';
  #error: Buffer | undefined;
  #notices: Buffer[] = [];

  /** A message of `segment`'s answer; what it copies out passes. */
  collect(segment: Segment, leg: { flushPassed(): void }, type: number, buffer: Buffer, start: number, length: number): Verdict {
    if (type === T.copyData && segment.copying) return PASS;
    if (type === T.copyOut && segment.copyOut) {
      leg.flushPassed();
      segment.copying = true;
    }
    if (type === T.row && start + length > buffer.length) return WHOLE;
    if (type === T.row) this.#rows.push(readDataRow(buffer, start));
    if (type === T.complete) this.#tag = readTag(buffer, start, length);
    return CUT;
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
