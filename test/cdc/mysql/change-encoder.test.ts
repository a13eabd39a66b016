/** What the encoder writes is what a reader of pgoutput messages finds, whatever the texts, times and positions are. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ChangeEncoder } from '../../../cdc/mysql/change-encoder.ts';
import type { EncodedTable } from '../../../cdc/mysql/change-encoder.ts';
import { readMessage } from '../../../cdc/postgres/pgoutput.ts';
import type { PgoutputMessage } from '../../../cdc/postgres/pgoutput.ts';
import type { Relation } from '../../../cdc/change.ts';
import { frameKind, KEEPALIVE_POSITION_AT, MESSAGE_AT } from '../../../cdc/stream/capture-frames.ts';

const relation: Relation = {
  oid: 101, schema: 'shop', name: 'größe', replicaIdentity: 'default',
  columns: ['id', 'note', 'extra'].map((name, at) => ({ name, typeOid: 25, typmod: at - 1, inKey: at === 0 })),
};
const table: EncodedTable = { relation, toLocal: [(text) => text, (text) => text, undefined], keyAt: [0] };

const text = fc.oneof(fc.string({ maxLength: 60 }), fc.string({ unit: 'binary', maxLength: 60 }), fc.constantFrom('', 'x'.repeat(40), 'x'.repeat(41), 'é', `${'x'.repeat(39)}é`, '\u007f', '\u0080'))
  .map((value) => value.toWellFormed().replaceAll('\0', '0'));
const row = fc.tuple(text, fc.option(text), fc.constant('not carried'));
const change = fc.oneof(
  fc.record({ op: fc.constant('insert' as const), row, before: row }), fc.record({ op: fc.constant('update' as const), row, before: row }), fc.record({ op: fc.constant('delete' as const), row, before: row }),
);
const transaction = fc.record({
  position: fc.bigInt({ min: 1n, max: (1n << 63n) - 10n }), committedAtMs: fc.oneof(fc.integer({ min: -2_000_000_000_000, max: 4_000_000_000_000 }), fc.constantFrom(0, 946_684_800_000, 946_684_799_999)),
  number: fc.nat(0xffff_ffff), changes: fc.array(change, { maxLength: 5 }),
});

function readFrames(block: Buffer): (PgoutputMessage | bigint)[] {
  const relations = new Map<number, Relation>();
  const found: (PgoutputMessage | bigint)[] = [];
  for (let at = 0; at < block.length; at += 1 + block.readUInt32BE(at + 1)) {
    expect(block[at]).toBe(frameKind.copyData);
    if (block[at + 5] === frameKind.keepalive) {
      found.push(block.readBigUInt64BE(at + KEEPALIVE_POSITION_AT));
      continue;
    }
    const message = readMessage(block, at + MESSAGE_AT, relations);
    if (message.kind === 'relation') relations.set(message.relation.oid, message.relation);
    found.push(message);
  }
  return found;
}

test('what is written is what is read', () => {
  const encoder = new ChangeEncoder(() => undefined);
  fc.assert(fc.property(fc.array(transaction, { maxLength: 8 }), (transactions) => {
    const expected: (PgoutputMessage | bigint)[] = [{ kind: 'relation', relation }];
    encoder.relation(relation);
    for (const { position, committedAtMs, number, changes } of transactions) {
      encoder.begin(position, committedAtMs, number);
      expected.push({ kind: 'begin', begin: { commitLsn: position, committedAtMs, transactionId: number } });
      for (const { op, row: after, before } of changes) {
        const isMoved = before[0] !== after[0];
        if (op === 'insert') encoder.insert(table, after);
        else if (op === 'update') encoder.update(table, before, after);
        else encoder.delete(table, before);
        const [old, now] = [[before[0], null, null], [after[0], after[1], null]];
        if (op === 'insert') expected.push({ kind: 'change', change: { op, relation, new: now } });
        else if (op === 'update') expected.push({ kind: 'change', change: { op, relation, old: isMoved ? old : undefined, oldIsKeyOnly: isMoved, new: now } });
        else expected.push({ kind: 'change', change: { op, relation, old, oldIsKeyOnly: true } });
      }
      encoder.commit(position, position + 7n, committedAtMs);
      encoder.keepalive(position + 7n);
      expected.push({ kind: 'commit', commit: { commitLsn: position, endLsn: position + 7n } }, position + 7n);
    }
    expect(readFrames(encoder.take() ?? Buffer.alloc(0))).toEqual(expected);
  }));
});
