/** What can go wrong in `bench mysql` before and after a run: its arguments, and what sysbench says. */
import { expect, test } from 'vitest';
import { readDocument, tableRows } from '../../ops/document-table.ts';
import { readOptions, usage } from './options.ts';
import { readOutput } from './sysbench.ts';

const output = `Latency histogram (values are in milliseconds)
       value  ------------- distribution ------------- count
       0.010 |*****                                    5
       0.020 |****************************************  94
       9.000 |                                         1

SQL statistics:
    queries:                             100    (50.25 per sec.)
    ignored errors:                      0      (0.00 per sec.)
    reconnects:                          0      (0.00 per sec.)
`;

test('figures of sysbench are its queries and times of its histogram', () => {
  expect(readOutput(output)).toEqual({ tps: 50.25, transactions: 100, p50Us: 20, p99Us: 20 });
});

test('errors, lost connections and empty runs are no figures', () => {
  expect(() => readOutput(output.replace('ignored errors:                      0', 'ignored errors:                      3'))).toThrow('failures');
  expect(() => readOutput(output.replace('reconnects:                          0', 'reconnects:                          1'))).toThrow('failures');
  expect(() => readOutput(output.replace(/queries:\s+100/, 'queries: 0'))).toThrow('no figures');
  expect(() => readOutput('')).toThrow('no figures');
});

test('options win over --quick, --quick over defaults', () => {
  expect(readOptions([])).toMatchObject({ parts: ['bulk', 'apply', 'lag', 'door'], servers: ['mariadb-10.11'], rows: 1_000_000, changes: 500_000, sizes: [1, 100], clients: [1, 8, 64] });
  expect(readOptions(['--quick', '--changes', '7', '--parts', 'lag,apply'])).toMatchObject({ parts: ['apply', 'lag'], changes: 7, rows: 100_000 });
});

test.each([[['--row', '1']], [['--rows']], [['--rows', 'x']], [['--rows', '0']], [['--parts', 'bulks']], [['--servers', 'oracle']], [['quick']]])('%j is refused with the usage', (args) => {
  expect(() => readOptions(args)).toThrow(usage);
});

test('each is in the document, with its default', () => {
  const rows = tableRows(readDocument('benchmarks.md'), ['option of mysql', 'default', 'what it is']).map(([name, fallback]) => `[${name?.replaceAll('`', '')}${fallback === '' ? '' : ` ${fallback?.replaceAll('`', '')}`}]`);
  expect(rows).toEqual(usage.replace('usage: bench mysql ', '').match(/\[[^\]]*\]/g));
});
