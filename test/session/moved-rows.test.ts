/** When rows that are brought from one server to the other are given up, the session goes on only once the cancel can meet nothing of what it asks for next. */
import { expect, test } from 'vitest';
import { moveRows } from '../../src/session/hybrid/moved-rows.ts';
import type { MoveOutcome, MoveRequest, RowSource } from '../../src/session/hybrid/moved-rows.ts';
import type { SessionCore } from '../../src/session/session-core.ts';
import type { InternalReply } from '../../src/execute/segment.ts';

type Taker = NonNullable<Parameters<RowSource['askCopy']>[2]>;

class Source implements RowSource {
  taker: Taker = {};
  ended: (reply: InternalReply) => void = () => undefined;
  canceled: (() => void) | undefined;

  askCopy(_sql: string, _nowMs: number, taker: Taker, done: (reply: InternalReply) => void): void {
    this.taker = taker;
    this.ended = done;
  }

  hold(): void { /* It has said all. */ }
  release(): void { /* The same. */ }

  cancel(canceled: () => void): void {
    this.canceled = canceled;
  }

  rows(bytes: number): void {
    this.taker.copyOut?.(Buffer.alloc(bytes));
  }

  end(error?: Buffer): void {
    this.ended({ rows: [], tag: 'COPY', error, notices: [] });
  }
}

function move(): { readonly from: Source; readonly outcomes: MoveOutcome['type'][] } {
  const from = new Source();
  const outcomes: MoveOutcome['type'][] = [];
  moveRows({ now: () => 0 } as unknown as SessionCore, { from, to: {} as MoveRequest['to'], copyOut: 'COPY t TO STDOUT', copyIn: undefined, inlineBytes: 100, maxBytes: 1000 }, ({ type }) => outcomes.push(type));
  return { from, outcomes };
}

test('rows that end before the cancel has met anything are waited for no less', () => {
  const { from, outcomes } = move();
  from.rows(200);
  from.end();
  expect(outcomes).toEqual([]);
  from.canceled?.();
  expect(outcomes).toEqual(['too_large']);
});

test('a cancel that is over first waits for the end of the rows', () => {
  const { from, outcomes } = move();
  from.rows(200);
  from.canceled?.();
  from.rows(200);
  expect(outcomes).toEqual([]);
  from.end(Buffer.from('canceled'));
  expect(outcomes).toEqual(['too_large']);
});

test('rows within the limit end by themselves', () => {
  const { from, outcomes } = move();
  from.rows(50);
  from.end();
  expect([outcomes, from.canceled]).toEqual([['collected'], undefined]);
});
