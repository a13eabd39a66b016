/** A comparison's report as text for a terminal. */
import type { ComparisonReport, TableComparison } from './comparison-report.ts';
import { discrepancyTypes } from './discrepancy.ts';

const MOST_PRINTED = 10;

export function printReport(report: ComparisonReport): string {
  return [
    `${report.mode}: ${report.passed ? 'passed' : 'NOT passed'}; ${report.rowsCompared} rows compared, ${report.rowsDifferent} different, ${report.repaired} repaired, ${report.unsettled} unsettled, in ${(report.elapsedMs / 1000).toFixed(1)} s`,
    ...report.tables.flatMap(printTable),
  ].join('\n');
}

function printTable(table: TableComparison): readonly string[] {
  const counts = discrepancyTypes.filter((type) => table.counts[type] > 0).map((type) => `${type} ${table.counts[type]}`);
  const listed = table.discrepancies.slice(0, MOST_PRINTED).map(({ key, part, types, cells }) => {
    const told = cells.map(({ column, path, source, target }) => `${column}${path === undefined ? '' : `[${path}]`}: source ${source?.value ?? 'none'}, target ${target?.value ?? 'none'}`);
    return `    ${part === 'statics' ? 'static columns of ' : ''}${key}: ${types.join(', ')}${told.length === 0 ? '' : ` (${told.join('; ')})`}`;
  });
  const more = table.rowsDifferent - listed.length;
  return [
    `  ${table.table}: source ${table.rowsSource}, target ${table.rowsTarget} rows, ${(table.shareOfRing * 100).toFixed(1)} % of the ring${counts.length === 0 ? '' : `; ${counts.join(', ')}`}${table.transient === 0 ? '' : `; ${table.transient} were on their way`}`,
    ...(table.wholeBecause === undefined ? [] : [`    read whole: ${table.wholeBecause}`]), ...(table.error === undefined ? [] : [`    ${table.error}`]), ...listed, ...(listed.length > 0 && more > 0 ? [`    and ${more} more`] : []),
  ];
}
