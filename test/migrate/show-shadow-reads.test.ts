/** What the gateway workers have compared is one list, worst first; a worker that does not answer, and why there is nothing, are said. */
import { expect, test } from 'vitest';
import type { TableRecord } from '../../catalog/records.ts';
import type { CommandContext } from '../../src/migrate/commands/command-context.ts';
import { shadowFindings, showShadowReads } from '../../src/migrate/commands/show-shadow-reads.ts';
import type { SurveyedShadowReads } from '../../src/migrate/worker-survey.ts';

const none = { equal: 0, different: 0, unsettled: 0, order_differs: 0, failed: 0, too_large: 0, skipped: 0, dropped: 0 };

function reads(statement: string, results: Partial<SurveyedShadowReads['results']>, more: Partial<SurveyedShadowReads> = {}): SurveyedShadowReads {
  return { tables: ['public.orders'], statement, results: { ...none, ...results }, slower: 0, timed: 0, sourceMs: 0, sourceMaxMs: 0, localMs: 0, localMaxMs: 0, ...more };
}

function record(name: string, more: Partial<TableRecord> = {}): TableRecord {
  return { tableId: name, source: { schema: 'public', name }, sourceServer: 'legacy', state: 'DUAL_WRITE', options: { readFrom: 'compare' }, ...more } as TableRecord;
}

async function show(workers: readonly (readonly SurveyedShadowReads[])[], options: { readonly table?: string; readonly records?: readonly TableRecord[]; readonly unheard?: number; readonly mode?: string } = {}) {
  const records = options.records ?? [record('orders'), record('items')];
  const asked: (boolean | undefined)[] = [];
  const context = {
    survey: async (shadowReads?: boolean) => {
      asked.push(shadowReads);
      return { surveys: workers.map((each) => ({ shadowReads: each })), unheard: options.unheard ?? 0 };
    },
    searchPath: ['public'], flow: async () => ({ forward: { status: () => ({ mode: options.mode ?? 'shared' }) } }),
    catalog: { tables: async () => records, tableByName: async (_schema: string, name: string) => records.find((each) => each.source.name === name) },
  };
  const answer = await showShadowReads(context as unknown as CommandContext, { type: 'show_shadow_reads', table: options.table === undefined ? undefined : { schema: undefined, name: options.table } });
  expect(asked).toEqual([true]);
  return { notices: answer.notices.map(({ message }) => message), rows: answer.rows.map((row) => Object.fromEntries(row.map((cell, index) => [answer.columns[index]?.name ?? '', cell]))) };
}

test('sums over workers, worst first, times as means and maxima', async () => {
  const { rows, notices } = await show([
    [reads('SELECT a', { equal: 3, skipped: 1 }, { timed: 3, sourceMs: 3, sourceMaxMs: 2, localMs: 6, localMaxMs: 4, slower: 1 }), reads('SELECT b', { equal: 1, different: 1 }, { example: 'only on the source: (1)' })],
    [reads('SELECT a', { equal: 1 }, { timed: 1, sourceMs: 5, sourceMaxMs: 5, localMs: 2, localMaxMs: 2 }), reads('SELECT c', { failed: 2 }, { tables: ['public.items', 'public.orders'], note: '42P01: no' })],
  ]);
  expect(notices).toEqual([]);
  expect(rows.map(({ Statement }) => Statement)).toEqual(['SELECT b', 'SELECT c', 'SELECT a']);
  expect(rows[2]).toMatchObject({ Tables: 'public.orders', Equal: '4', Skipped: '1', Slower: '1', 'Source ms': '2.00', 'Source Max ms': '5.00', 'Local ms': '2.00', 'Local Max ms': '4.00', Note: null });
  expect(rows[0]).toMatchObject({ Different: '1', Example: 'only on the source: (1)', 'Source ms': null });
  expect((await show([[reads('SELECT a', { equal: 1 }), reads('SELECT c', { equal: 1 }, { tables: ['public.items', 'public.orders'] })]], { table: 'items' })).rows.map(({ Statement }) => Statement)).toEqual(['SELECT c']);
});

test('what is missing is said', async () => {
  expect((await show([[reads('SELECT a', { equal: 1 })]], { unheard: 1 })).notices).toEqual(['1 gateway workers did not answer in time']);
  expect((await show([[]])).notices).toEqual([]);
  expect((await show([[]], { records: [record('orders', { options: {} })] })).notices).toEqual(['no read is compared']);
  expect((await show([[]], { records: [record('orders', { state: 'SYNCHRONIZING' })] })).notices).toEqual(['reads are compared in DUAL_WRITE and CUTOVER_READY only: public.orders is SYNCHRONIZING']);
  expect((await show([[reads('SELECT a', { different: 1 })]], { table: 'orders', mode: 'draining' })).notices).toEqual(['changes of public.orders are not applied in step with the others now']);
});

test('findings of one table', () => {
  const surveys = [{ shadowReads: [reads('a', { different: 2 }), reads('b', { failed: 1, different: 1 }, { tables: ['public.items', 'public.orders'] })] }, {}, { shadowReads: [reads('a', { different: 1 }, { tables: ['public.items'] })] }];
  expect(shadowFindings(surveys, record('orders'))).toEqual({ different: 3, failed: 1 });
});
