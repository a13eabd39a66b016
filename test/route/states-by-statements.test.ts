/** Property: every cell of the table in docs/routing.md is what `decide` does: statements × sessions × states, written out. */
import * as fs from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { tableStates } from '../../catalog/table-state.ts';
import { loadSqlParser } from '../../grammar/sql/parser.ts';
import type { SqlParser } from '../../grammar/sql/parser.ts';
import { decide } from '../../src/route/decide.ts';
import { routeWord, sidesByState, snapshotWith } from './routing-examples.ts';
import type { StateColumn } from './routing-examples.ts';
import { sessionOf } from './session-of.ts';

let parser: SqlParser;
beforeAll(async () => {
  parser = await loadSqlParser();
});
afterAll(() => parser[Symbol.asyncDispose]());

interface Row {
  readonly sql: string;
  readonly session: string;
  readonly cells: Readonly<Record<string, string>>;
}

function readTable(): { readonly columns: readonly string[]; readonly rows: readonly Row[] } {
  const page = fs.readFileSync(new URL('../../docs/routing.md', import.meta.url), 'utf8');
  const lines = page.split('\n').filter((line) => line.startsWith('| ')).map((line) => line.slice(2, -2).split(' | '));
  const head = lines.find((cells) => cells[0] === 'what') ?? [];
  const columns = head.slice(3);
  const rows = lines.filter((cells) => cells.length === head.length && cells[0] !== 'what' && cells[0] !== '---')
    .map((cells) => ({ sql: (cells[1] ?? '').replaceAll('`', ''), session: cells[2] ?? '', cells: Object.fromEntries(columns.map((column, index) => [column, cells[index + 3] ?? ''])) }));
  return { columns, rows };
}

const { columns, rows } = readTable();

test('the page has every state and enough statements', () => {
  expect(columns).toEqual(Object.keys(sidesByState));
  expect(tableStates.filter((state) => !columns.includes(state))).toEqual([]);
  expect(rows.length).toBeGreaterThan(50);
});

describe('docs/routing.md', () => {
  test.each(rows.map((row) => [row.sql, row.session, row] as const))('%s (%s)', (sql, session, row) => {
    const facts = parser.parseFacts(sql);
    if (facts === 'too_large_for_sync') throw new Error('too large');
    const decided = Object.fromEntries((Object.keys(sidesByState) as StateColumn[]).map((column) => [column, routeWord(decide(facts, snapshotWith(sidesByState[column]), sessionOf(session)))]));
    expect(decided).toEqual(row.cells);
  });
});
