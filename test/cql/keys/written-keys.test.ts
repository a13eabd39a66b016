/** The keys that a write may have changed are told exactly, as far as its text and values fix them; whatever they do not fix makes the key wider or unknown, never another one. */
import { expect, test } from 'vitest';
import { BodyWriter } from '../../../src/wire/cql/body-writer.ts';
import { opcodes } from '../../../src/wire/cql/frame.ts';
import type { IntentStatement } from '../../../src/cql/intents/intent-log.ts';
import type { KeyedTable } from '../../../src/cql/keys/key-columns.ts';
import { WrittenKeys } from '../../../src/cql/keys/written-keys.ts';
import { int32 } from '../../support/cql/raw-client.ts';

const table: KeyedTable = { keyspace: 'ks', table: 't', partitionKey: [{ name: 'p', type: 'int' }], clustering: [{ name: 'c', type: 'int' }, { name: 'd', type: 'text' }] };
const simple: KeyedTable = { keyspace: 'ks', table: 'Quoted', partitionKey: [{ name: 'k', type: 'uuid' }], clustering: [] };
const times: KeyedTable = { keyspace: 'ks', table: 'times', partitionKey: [{ name: 'at', type: 'timestamp' }], clustering: [] };
const text = (value: string): Buffer => Buffer.from(value);
const origin = { version: 4, keyspace: 'ks', user: '' };

function parameters(values: readonly (Buffer | null | undefined)[], names?: readonly string[]): Buffer {
  const body = new BodyWriter(1000).short(1).raw(Buffer.from([0x01 | (names ? 0x40 : 0)])).short(values.length);
  values.forEach((value, index) => {
    if (names) body.short((names[index] ?? '').length).raw(text(names[index] ?? ''));
    if (value) body.bytes(value);
    else body.int(value === null ? -1 : -2);
  });
  return body.done();
}

/** Keys as `p|c,d`, `s` in front where only the static columns are meant. */
function keysOf(of: KeyedTable, query: string, values: readonly (Buffer | null | undefined)[] = [], names?: readonly string[]): string | readonly string[] {
  const body = Buffer.concat([new BodyWriter(1000).longString(query).done(), parameters(values, names)]);
  return print(new WrittenKeys(of).of({ opcode: opcodes.query, origin, statements: [], body }));
}

function executed(of: KeyedTable, query: string, values: readonly (Buffer | null | undefined)[], keyspace = 'ks'): string | readonly string[] {
  const statement: IntentStatement = { id: Buffer.alloc(16, 1), keyspace, text: query };
  return print(new WrittenKeys(of).of({ opcode: opcodes.execute, origin, statements: [statement], body: Buffer.concat([new BodyWriter(20).short(16).raw(statement.id).done(), parameters(values)]) }));
}

function print(keys: ReturnType<WrittenKeys['of']>): string | readonly string[] {
  const values = (list: readonly Buffer[]): string => list.map((bytes) => bytes.toString('hex')).join(',');
  return keys === 'unknown' ? keys : keys.map(({ partitionKey, clustering, isStaticOnly }) => `${isStaticOnly ? 's' : ''}${values(partitionKey)}|${values(clustering)}`);
}

const one = '00000001';
const two = '00000002';

test.each<readonly [string, readonly (Buffer | null | undefined)[], string | readonly string[]]>([
  ['INSERT INTO ks.t (d, v, c, p) VALUES (?, ?, ?, ?)', [text('x'), text('v'), int32(2), int32(1)], [`${one}|${two},78`]],
  ["INSERT INTO t (p, c, d) VALUES (1, 2, 'x') IF NOT EXISTS USING TTL 5", [], [`${one}|${two},78`]],
  ['INSERT INTO t (p, s) VALUES (?, ?)', [int32(1), text('x')], [`s${one}|`]],
  ['INSERT INTO ks.other (p, c, d) VALUES (?, ?, ?)', [int32(1), int32(1), text('x')], []],
  ['INSERT INTO elsewhere.t (p, c, d) VALUES (?, ?, ?)', [int32(1), int32(1), text('x')], []],
  ["INSERT INTO t JSON '{\"p\": 1}'", [], 'unknown'],
  ['UPDATE t SET m[?] = ?, l = l + ? WHERE d = ? AND p = ? AND c = ?', [int32(9), int32(9), int32(9), text('x'), int32(1), int32(2)], [`${one}|${two},78`]],
  ['UPDATE t USING TIMESTAMP ? AND TTL ? SET s = ? WHERE p = ?', [int32(9), int32(9), text('s'), int32(1)], [`s${one}|`]],
  ["UPDATE t SET v = 'x' WHERE p = 1 AND c = 2 AND d = 'x' IF v = 'y'", [], [`${one}|${two},78`]],
  ['UPDATE t SET v = ? WHERE p IN (?, 2) AND c = ? AND d = ?', [text('v'), int32(1), int32(2), text('x')], [`${one}|${two},78`, `${two}|${two},78`]],
  ['DELETE FROM t WHERE p = ?', [int32(1)], [`${one}|`]],
  ['DELETE s FROM t WHERE p = ?', [int32(1)], [`s${one}|`]],
  ['DELETE FROM t WHERE p = ? AND c > ?', [int32(1), int32(2)], [`${one}|`]],
  ['DELETE FROM t WHERE p = ? AND c = ? AND d >= ?', [int32(1), int32(2), text('x')], [`${one}|${two}`]],
  ['DELETE FROM t WHERE p = ? AND (c, d) = (?, ?)', [int32(1), int32(2), text('x')], [`${one}|`]],
  ['DELETE FROM t WHERE p IN ?', [Buffer.concat([int32(2), int32(4), int32(1), int32(4), int32(2)])], [`${one}|`, `${two}|`]],
  ['DELETE FROM t WHERE token(p) > ?', [int32(1)], 'unknown'],
  // The key is what a function makes of it: only the cluster knows.
  ["UPDATE t SET v = 'x' WHERE p = ks.f(1) AND c = 2 AND d = 'x'", [], 'unknown'],
  ['UPDATE t SET v = ? WHERE p = 0 + 1 AND c = 2', [text('v')], 'unknown'],
  // A clustering value of which that is so only makes the key wider.
  ["UPDATE t SET v = 'x' WHERE p = 1 AND c = 1 + 1 AND d = 'x'", [], [`${one}|`]],
  // What every server refuses, no row has.
  ['INSERT INTO t (p, c, d) VALUES (?, ?, ?)', [null, int32(1), text('x')], []],
  ['INSERT INTO t (p, c, d) VALUES (?, ?, ?)', [text('abc'), int32(1), text('x')], []],
  ['INSERT INTO t (p, c, d) VALUES (?, ?, ?)', [int32(1)], [`${one}|`]],
  ['UPDATE t SET v = ? WHERE p = ?', [text('v')], 'unknown'],
  ["BEGIN BATCH INSERT INTO t (p, c, d) VALUES (1, 2, 'x'); UPDATE other SET v = 1 WHERE p = 7; DELETE FROM ks.t WHERE p = ?; APPLY BATCH", [int32(2)], [`${one}|${two},78`, `${two}|`]],
  ["BEGIN BATCH INSERT INTO t (p, c, d) VALUES (1, 2, 'x'); DELETE FROM t WHERE p = ks.f(1); APPLY BATCH", [], 'unknown'],
  ['this is nothing that anybody understands', [], 'unknown'],
])('%s', (query, values, expected) => {
  expect(keysOf(table, query, values)).toEqual(expected);
  if (!/nothing that/.test(query)) expect(executed(table, query, values)).toEqual(expected);
});

test('names: quoted, of values, of the keyspace in which a statement was prepared', () => {
  const id = 'DEADBEEF-0000-1000-8000-000000000001';
  expect(keysOf(simple, `INSERT INTO "Quoted" (k) VALUES (${id})`)).toEqual([`${id.replaceAll('-', '').toLowerCase()}|`]);
  expect(keysOf(simple, `INSERT INTO Quoted (k) VALUES (${id})`)).toEqual([]);
  expect(keysOf(table, 'INSERT INTO t (p, c, d) VALUES (:one, :two, :"T x")', [text('x'), int32(2), int32(1)], ['T x', 'two', 'one'])).toEqual([`${one}|${two},78`]);
  expect(keysOf(table, 'INSERT INTO t (p, c, d) VALUES (:one, :one, :x)', [int32(1), text('x')], ['one', 'x'])).toBe('unknown');
  expect(executed(table, 'DELETE FROM t WHERE p = ?', [int32(1)], 'elsewhere')).toEqual([]);
});

test('a call that the proxy has bound is a value among the others', () => {
  const bound = Buffer.alloc(16, 7);
  expect(executed({ ...simple, table: 'calls' }, 'INSERT INTO calls (v, k, w) VALUES (?, uuid(), ?)', [text('v'), bound, text('w')])).toEqual([`${bound.toString('hex')}|`]);
});

test('a time that stands as a text is read by the server: the key is not known', () => {
  expect(keysOf(times, "INSERT INTO times (at) VALUES ('2026-01-01')")).toBe('unknown');
  expect(keysOf(times, 'INSERT INTO times (at) VALUES (1000)')).toBe('unknown');
  expect(keysOf(times, 'INSERT INTO times (at) VALUES (?)', [Buffer.alloc(8, 1)])).toEqual(['0101010101010101|']);
});
