/** What `bench proxy` has measured, as tables for people and as a file for programs. */
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { figuresOf, goalsOf } from './figures.ts';
import type { Series, Spread } from './figures.ts';
import type { MatrixNotes } from './matrix.ts';
import type { ProxyOptions } from './options.ts';

export interface Report {
  readonly options: ProxyOptions;
  readonly series: readonly Series[];
  readonly notes: MatrixNotes;
  /** What went wrong outside the runs, an interruption included. */
  readonly problems: readonly string[];
}

const blank = '';
const ratio = (spread: Spread | undefined): string => (spread === undefined ? blank : `${spread.median.toFixed(2)} (${spread.min.toFixed(2)}–${spread.max.toFixed(2)})`);
const whole = (value: number): string => Math.round(value).toLocaleString('en');
const milliseconds = (us: number): string => (us / 1000).toFixed(2);
const added = (spread: Spread | undefined): string => (spread === undefined ? blank : `${spread.median < 0 ? '−' : '+'}${milliseconds(Math.abs(spread.median))}`);

type Column = readonly [title: string, text: (series: Series, all: readonly Series[]) => string];
const through: Column = ['through', (series) => series.through];
const rate: readonly Column[] = [
  ['tps', (series, all) => format(figuresOf(series, all).tps, ({ median }) => whole(median))],
  ['min–max', (series, all) => format(figuresOf(series, all).tps, ({ min, max }) => `${whole(min)}–${whole(max)}`)],
];
const cpu: Column = ['cpu µs/stmt', (series, all) => format(figuresOf(series, all).cpuUsPerStatement, ({ median }) => median.toFixed(1))];
const workers: Column = ['in workers', (series, all) => format(figuresOf(series, all).workersUsPerStatement, ({ median }) => median.toFixed(1))];
const times: readonly Column[] = [
  ['p50 ms', (series, all) => format(figuresOf(series, all).p50Us, ({ median }) => milliseconds(median))],
  ['p99 ms', (series, all) => format(figuresOf(series, all).p99Us, ({ median }) => milliseconds(median))],
];
const matrixColumns: readonly Column[] = [
  through, ...rate,
  ['of direct', (series, all) => ratio(figuresOf(series, all).tpsOfDirect)],
  ['of pipe', (series, all) => (series.through === 'direct' ? blank : ratio(figuresOf(series, all).tpsOfPipe))],
  ['of pgbouncer', (series, all) => (series.through === 'direct' ? blank : ratio(figuresOf(series, all).tpsOfPgbouncer))],
  cpu, ['cpu of pipe', (series, all) => ratio(figuresOf(series, all).cpuOfPipe)], ...times,
  ['added p50', (series, all) => added(figuresOf(series, all).addedP50Us)],
  ['added p99', (series, all) => added(figuresOf(series, all).addedP99Us)],
];
const mixColumns: readonly Column[] = [
  through, ...rate,
  ['cost of unrouted', (series, all) => ratio(figuresOf(series, all).costOfUnrouted)],
  cpu, workers,
  ['workers of unrouted', (series, all) => ratio(figuresOf(series, all).workersOfUnrouted)],
  ...times,
];

const format = (spread: Spread | undefined, text: (spread: Spread) => string): string => (spread === undefined ? blank : text(spread));

export function printReport({ series, notes, problems }: Report): string {
  const cells = [...new Set(series.map(({ workload, mode, clients }) => `${workload} ${mode} ${clients}`))];
  const lines = cells.flatMap((cell) => {
    const rows = series.filter(({ workload, mode, clients }) => `${workload} ${mode} ${clients}` === cell);
    const [workload = '', mode = '', clients = ''] = cell.split(' ');
    return ['', `${workload}, ${mode}, ${clients} client${clients === '1' ? '' : 's'}`, ...printRows(rows, series, workload.startsWith('mix') ? mixColumns : matrixColumns)];
  });
  lines.push('');
  for (const { name, why } of notes.absent) lines.push(`absent: ${name}: ${why}`);
  for (const goal of goalsOf(series)) {
    lines.push(`goal ${goal.text}: met in ${goal.met} of ${goal.measured} cells${goal.worst === undefined ? '' : `; farthest from it: ${goal.worst.value.toFixed(3)} (${goal.worst.cell})`}`);
  }
  for (const { name, why } of notes.failed) lines.push(`FAILED: ${name}: ${why}`);
  for (const problem of problems) lines.push(`FAILED: ${problem}`);
  return lines.join('\n');
}

function printRows(rows: readonly Series[], all: readonly Series[], columns: readonly Column[]): string[] {
  const used = rows.filter(({ samples }) => samples.length > 0);
  const texts = [columns.map(([title]) => title), ...used.map((series) => columns.map(([, text]) => text(series, all)))];
  const widths = columns.map((_, index) => Math.max(...texts.map((row) => row[index]?.length ?? 0)));
  const isEmpty = columns.map((_, index) => index > 0 && texts.slice(1).every((row) => row[index] === blank));
  const table = used.length === 0 ? [] : texts.map((row) =>
    `  ${row.map((text, index) => (index === 0 ? text.padEnd(widths[index] ?? 0) : text.padStart(widths[index] ?? 0))).filter((_, index) => isEmpty[index] !== true).join('  ')}`);
  return [
    ...table,
    ...rows.flatMap(({ through: name, notPossible }) => (notPossible === undefined ? [] : [`  ${name}: not possible: ${notPossible}`])),
    ...rows.flatMap(({ through: name, failure, samples }) => (failure === undefined ? [] : [`  ${name}: FAILED (${samples.length} runs were good): ${failure}`])),
  ];
}

/** Something was to run and did not. What is absent or not possible is no failure, and no figure is one. */
export function hasFailed({ series, notes, problems }: Report): boolean {
  return problems.length > 0 || notes.failed.length > 0 || series.some(({ failure }) => failure !== undefined);
}

/** Returns the file's path. Single runs are in it as well as what was made of them. */
export function writeReport(report: Report, folder: string, at: Date): string {
  const { options, series, notes, problems } = report;
  const file = options.output === '' ? path.join(folder, `proxy-${at.toISOString().replace(/[:.]/g, '-')}.json`) : path.resolve(options.output);
  fs.mkdirSync(path.dirname(file), { recursive: true });
  const machine = { processors: os.cpus().length, model: os.cpus()[0]?.model ?? '', kernel: os.release(), loadAtEnd: os.loadavg()[0], node: process.version };
  const text = JSON.stringify({ bench: 'proxy', at: at.toISOString(), options, machine, ...notes, problems, goals: goalsOf(series), series: series.map((each) => ({ ...each, figures: figuresOf(each, series) })) }, null, 1);
  fs.writeFileSync(file, `${text}\n`);
  return file;
}
