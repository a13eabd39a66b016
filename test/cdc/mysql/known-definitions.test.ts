// What rows are read by: the definition of their own time where it is known, across restarts too; where an answer came later than they did, a statement in between says so.
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { expect, test } from 'vitest';
import type { ColumnFacts } from '../../../cdc/mysql/binlog/column-facts.ts';
import { KnownDefinitions } from '../../../cdc/mysql/binlog/known-definitions.ts';
import type { Place } from '../../../cdc/mysql/binlog/known-definitions.ts';
import { openDefinitions } from '../../../cdc/mysql/definitions-folder.ts';
import { parseColumnType } from '../../../cdc/mysql/column-type.ts';

const t = { schema: 'shop', name: 't' };
const at = (binlogPosition: number, file = 1): Place => ({ binlogFile: `binlog.00000${file}`, binlogPosition });
const columns = (type: string): readonly ColumnFacts[] => [{ name: 'v', type: parseColumnType(type), charset: undefined, definition: type }];
const typeAt = (known: KnownDefinitions, place: Place): string | undefined => known.at(t, place)?.[0]?.definition;
const alter = 'ALTER TABLE t MODIFY v bigint';

test('a definition holds from where it was asked for to the next statement that may make another one', () => {
  const known = new KnownDefinitions();
  known.noteFirst({ ...t, columns: columns('int'), asked: at(100), from: at(120) });
  expect(known.redefined('ALTER TABLE other MODIFY v bigint', 'shop', at(150))).toEqual([]);
  expect([typeAt(known, at(130)), typeAt(known, at(9000)), typeAt(known, at(4, 2))]).toEqual(['int', 'int', 'int']);
  expect(known.redefined(alter, 'shop', at(200))).toEqual([]);
  expect([typeAt(known, at(199)), typeAt(known, at(201))]).toEqual(['int', undefined]);
  known.note({ ...t, columns: columns('bigint'), asked: at(210), from: at(300) });
  // Read again after a restart, each row is read as before.
  expect([typeAt(known, at(150)), typeAt(known, at(210)), typeAt(known, at(250)), known.doubtfulUntil(t, at(250)), known.doubtfulUntil(t, at(301))]).toEqual(['int', 'bigint', 'bigint', at(300), undefined]);
});

test('a statement between a row and the answer that it was read by proves it misread, and again when it is read again', () => {
  const known = new KnownDefinitions();
  known.note({ ...t, columns: columns('bigint'), asked: at(100), from: at(300) });
  expect(known.redefined('ALTER TABLE t ADD INDEX (v)', 'shop', at(150))).toEqual([]);
  expect(known.redefined(alter, 'shop', at(200))).toEqual([t]);
  expect(typeAt(known, at(250))).toBeUndefined();
  expect(typeAt(known, at(150))).toBe('bigint');
  expect(known.redefined(alter, 'shop', at(200))).toEqual([t]);
  expect(known.redefined(alter, 'shop', at(250))).toEqual([]);
});

test('the first answer about a table counts only where no statement was read behind the question', () => {
  const known = new KnownDefinitions();
  known.redefined(alter, 'shop', at(110));
  known.noteFirst({ ...t, columns: columns('int'), asked: at(100), from: at(120) });
  expect(typeAt(known, at(130))).toBeUndefined();
  known.noteFirst({ ...t, columns: columns('bigint'), asked: at(115), from: at(125) });
  expect(typeAt(known, at(130))).toBe('bigint');
  // Rows from before the table began to migrate are applied to nothing.
  expect(typeAt(known, at(50))).toBe('bigint');
  known.noteFirst({ ...t, columns: columns('text'), asked: at(140), from: at(150) });
  expect(typeAt(known, at(160))).toBe('bigint');
  known.forget(t);
  expect(typeAt(known, at(160))).toBeUndefined();
});

test('what is known outlives the process, until nothing before it is read again', () => {
  const folder = path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'causeway-definitions-')), 'deep', 'definitions');
  const known = openDefinitions(folder);
  known.noteFirst({ ...t, columns: columns('int unsigned'), asked: at(100), from: at(120) });
  known.redefined(alter, 'shop', at(200));
  known.note({ ...t, columns: columns('bigint'), asked: at(210), from: at(220) });
  const again = openDefinitions(folder);
  expect([again.at(t, at(150)), typeAt(again, at(230))]).toEqual([columns('int unsigned'), 'bigint']);
  again.prune(at(150));
  expect(typeAt(openDefinitions(folder), at(160))).toBe('int unsigned');
  again.prune(at(230));
  expect(openDefinitions(folder).redefined('DROP TABLE t', 'shop', at(240))).toEqual([]);
  const [file = ''] = fs.readdirSync(folder);
  expect((JSON.parse(fs.readFileSync(path.join(folder, file), 'utf8')) as unknown[]).length).toBe(1);
  again.forget(t);
  expect(fs.readdirSync(folder)).toEqual([]);
  fs.rmSync(path.dirname(path.dirname(folder)), { recursive: true });
});
