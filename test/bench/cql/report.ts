/** What `bench cql` has measured, as a table. */
import { compare, rateOf, spreadOf } from '../proxy/figures.ts';
import type { Sample, Series, Spread } from '../proxy/figures.ts';
import type { CqlFigures } from './measure.ts';

const whole = (value: number): string => Math.round(value).toLocaleString('en');
const ratio = (spread: Spread | undefined): string => (spread === undefined ? '' : `${spread.median.toFixed(2)} (${spread.min.toFixed(2)}–${spread.max.toFixed(2)})`);
const signed = (spread: Spread | undefined): string => (spread === undefined ? '' : `${spread.median < 0 ? '−' : '+'}${whole(Math.abs(spread.median))}`);

/** Requests per second that DualSync is to have at the least. */
export const goals: Readonly<Record<string, number>> = { 'write 64x1': 50_000, 'write 32x4': 150_000 };

const titles = ['through', 'requests/s', 'min–max', 'of pipe', 'of zdm', 'cpu µs/req', 'p50 µs', 'p99 µs', 'added p50', 'added p99', 'load µs', 'clusters µs', ''];

export function printReport({ series, absent, others }: CqlFigures): string {
  const cells = [...new Set(series.map(({ workload, mode }) => `${workload} ${mode}`))];
  const lines = cells.flatMap((cell) => {
    const rows = series.filter(({ workload, mode }) => `${workload} ${mode}` === cell);
    const beside = (name: string): Series | undefined => rows.find(({ through }) => through === name);
    const texts = rows.map((each) => {
      const of = (pick: (sample: Sample) => number | undefined): Spread | undefined => spreadOf(each.samples.flatMap((sample) => pick(sample) ?? []));
      const [tps, cpu, p50, p99] = [of((sample) => sample.tps), of((sample) => sample.cpuUsPerStatement), of((sample) => sample.p50Us), of((sample) => sample.p99Us)];
      const own = others.filter((other) => other.cell === cell && other.through === each.through);
      const goal = each.through === 'DualSync' ? goals[cell] : undefined;
      const note = each.failure !== undefined ? `FAILED: ${each.failure}` : goal !== undefined && tps !== undefined ? `goal ${whole(goal)}: ${tps.median >= goal ? 'met' : 'MISSED'}` : '';
      return [
        each.through, tps ? whole(tps.median) : '–', tps ? `${whole(tps.min)}–${whole(tps.max)}` : '', each.through === 'direct' ? '' : ratio(compare(each, beside('pipe'), rateOf)), ratio(compare(each, beside('zdm'), rateOf)),
        cpu?.median.toFixed(2) ?? '', p50 ? whole(p50.median) : '', p99 ? whole(p99.median) : '', signed(compare(each, beside('direct'), (mine, its) => mine.p50Us - its.p50Us)), signed(compare(each, beside('direct'), (mine, its) => mine.p99Us - its.p99Us)),
        spreadOf(own.map(({ loadUs }) => loadUs))?.median.toFixed(2) ?? '', spreadOf(own.map(({ clustersUs }) => clustersUs))?.median.toFixed(2) ?? '', note,
      ];
    });
    const widths = titles.map((title, column) => Math.max(title.length, ...texts.map((row) => row[column]?.length ?? 0)));
    const line = (row: readonly string[]): string => row.map((text, column) => (column === 0 || column === titles.length - 1 ? text.padEnd(widths[column] ?? 0) : text.padStart(widths[column] ?? 0))).join('  ').trimEnd();
    const [workload, shape = ''] = cell.split(' ');
    return ['', `${workload}, ${shape.replace('x', ' connections with ')} in hand each`, line(titles), ...texts.map(line)];
  });
  return [...lines, ...absent.map((each) => `\nnot measured: ${each}`)].join('\n');
}
