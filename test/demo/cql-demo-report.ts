/** The end of the demo: its phases, what was moved at which rate, what was spoilt and repaired, what the application noticed, and whether every promise held. */
import type { ApplicationFigures } from './demo-application.ts';

export interface DemoPhase {
  readonly title: string;
  readonly elapsedMs: number;
  readonly told: readonly string[];
}

export interface CqlDemoFindings {
  readonly clusters: readonly [source: string, target: string];
  readonly phases: readonly DemoPhase[];
  readonly rows: number;
  readonly loadedRows: number;
  readonly loadMs: number;
  /** Differences of the first validation. */
  readonly differentBefore: number;
  /** Kinds that were made, and kinds that were found. */
  readonly spoilt: readonly string[];
  readonly found: Readonly<Record<string, number>>;
  readonly repaired: number;
  readonly leftDifferent: number;
  /** The refusal while a failed validation stood. */
  readonly refusal: string | undefined;
  readonly lost: number;
  readonly different: number;
  readonly queued: number;
  readonly repairEntries: number;
  readonly application: ApplicationFigures;
  readonly totalMs: number;
}

export function cqlDemoReport(findings: CqlDemoFindings): { readonly text: string; readonly held: boolean } {
  const { application, found, spoilt } = findings;
  const kinds = spoilt.filter((kind) => (found[kind] ?? 0) > 0);
  const madeAgain = 1;
  const checks: readonly (readonly [name: string, value: string, held: boolean])[] = [
    ['acknowledged writes that the target lacks', String(findings.lost), findings.lost === 0],
    ['loaded rows that differ in the end', String(findings.different), findings.different === 0],
    ['rows loaded', `${findings.loadedRows} of at least ${findings.rows}`, findings.loadedRows >= findings.rows],
    ['rows that differed before any were spoilt', String(findings.differentBefore), findings.differentBefore === 0],
    ['kinds of difference that were made and found', `${kinds.length} of ${spoilt.length}`, kinds.length === spoilt.length],
    ['rows that were spoilt, and repaired', `${spoilt.length + madeAgain}, ${findings.repaired}`, findings.repaired === spoilt.length + madeAgain],
    ['rows that the last scan found different', String(findings.leftDifferent), findings.leftDifferent === 0],
    ['switch refused while a validation had failed', findings.refusal === undefined ? 'no' : 'yes', findings.refusal !== undefined],
    ['errors of the application', String(application.errorCount), application.errorCount === 0],
    ['own writes that the next read did not show', String(application.notSeen), application.notSeen === 0],
    ['writes queued, repairs waiting', `${findings.queued}, ${findings.repairEntries}`, findings.queued === 0 && findings.repairEntries === 0],
  ];
  const lines = [
    '', '== Clusters ==', `source ${findings.clusters[0]}`, `target ${findings.clusters[1]}`,
    '', '== Phases ==', ...findings.phases.flatMap(({ title, elapsedMs, told }) => [`${title.padEnd(60)} ${(elapsedMs / 1000).toFixed(1).padStart(7)} s`, ...told.map((line) => `    ${line}`)]),
    `whole run ${(findings.totalMs / 1000).toFixed(1)} s`,
    '', '== Load ==', `${findings.loadedRows} rows in ${(findings.loadMs / 1000).toFixed(1)} s, ${Math.round(findings.loadedRows / (findings.loadMs / 1000))} rows/s`,
    '', '== Differences ==', ...Object.entries(found).filter(([, count]) => count > 0).map(([kind, count]) => `${kind.padEnd(20)} ${count}`),
    '', '== Application ==', `${application.writes} acknowledged writes, ${application.reads} reads of them`,
    ...application.modes.map(({ mode, writes, p50Ms, p99Ms, maxMs }) => `${mode.padEnd(14)} ${String(writes).padStart(7)} writes, p50 ${p50Ms.toFixed(1)} ms, p99 ${p99Ms.toFixed(1)} ms, longest ${maxMs.toFixed(1)} ms`),
    '', '== Promises ==', ...checks.map(([name, value, held]) => `${held ? 'held  ' : 'BROKEN'}  ${name.padEnd(46)} ${value}`), ...application.errors.map((error) => `        ${error}`), '',
  ];
  return { text: lines.join('\n'), held: checks.every(([, , held]) => held) };
}
