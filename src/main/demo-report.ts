/** The end of the demo: what was moved, how long clients waited, and whether every promise held. */
import type { TrafficStats } from './sample/traffic.ts';
import type { TrafficVerdict } from './sample/verify-traffic.ts';

export interface DemoTable {
  readonly name: string;
  readonly rows: string;
  readonly rate: string;
}

export interface DemoSwitch {
  readonly command: string;
  readonly tables: string;
  readonly pauseMs: number;
  readonly steps: string;
}

export interface DemoFindings {
  readonly tables: readonly DemoTable[];
  readonly switches: readonly DemoSwitch[];
  /** Rows that a validation found to differ, all validations together. */
  readonly mismatches: number;
  readonly loadMs: number;
  readonly totalMs: number;
}

/** Write transactions per second that have to be kept up throughout. */
const REQUIRED_TPS = 300;

export function demoReport(findings: DemoFindings & { readonly stats: TrafficStats; readonly verdict: TrafficVerdict }): { text: string; held: boolean } {
  const { stats, verdict } = findings;
  const checks: readonly (readonly [string, string, boolean])[] = [
    ['lost acknowledged writes', String(verdict.lost), verdict.lost === 0],
    ['writes applied twice', String(verdict.duplicated), verdict.duplicated === 0],
    ['refused writes that are there', String(verdict.resurrected), verdict.resurrected === 0],
    ['wrong balances, stock, visits, orders', `${verdict.balanceMismatches} / ${verdict.stockDifference} / ${verdict.visitDifference} / ${verdict.tornOrders}`, verdict.ok],
    ['rows that differed in a validation', String(findings.mismatches), findings.mismatches === 0],
    ['client errors', errorText(stats), stats.errorCount === 0],
    ['serialisation failures (40001)', String(stats.serializationFailures), stats.serializationFailures === 0],
    ['own writes not seen', String(stats.readYourWritesViolations), stats.readYourWritesViolations === 0],
    ['snapshots in which money was made or lost', String(stats.sumViolations), stats.sumViolations === 0],
    ['unknown outcomes', String(stats.unknownOutcomes), stats.unknownOutcomes === 0],
    ['write transactions per second', `${stats.writesPerSecond} (at least ${REQUIRED_TPS})`, stats.writesPerSecond >= REQUIRED_TPS],
  ];
  const pauses = stats.longestPauseMs;
  const lines = [
    '', '== Tables =='.padEnd(40), ...findings.tables.map((table) => `${table.name.padEnd(32)} ${table.rows.padStart(12)} rows  ${table.rate}`),
    '', `all tables in DUAL_WRITE after ${(findings.loadMs / 1000).toFixed(1)} s; whole run ${(findings.totalMs / 1000).toFixed(1)} s`,
    '', '== Changes of authority ==', ...findings.switches.map((each) => `${each.command.padEnd(9)} pause ${each.pauseMs.toFixed(1).padStart(7)} ms  ${each.tables}`),
    '', '== Clients ==', `${stats.connections} connections, ${stats.writes} acknowledged writes, ${stats.reads} reads`,
    `write latency p50 ${stats.writeLatency.p50Ms.toFixed(1)} ms, p99 ${stats.writeLatency.p99Ms.toFixed(1)} ms, max ${stats.writeLatency.maxMs.toFixed(1)} ms`,
    `longest pause of each client (ms): ${pauses.map((ms) => ms.toFixed(0)).join(' ')}`,
    '', '== Promises ==', ...checks.map(([name, value, held]) => `${held ? 'held  ' : 'BROKEN'}  ${name.padEnd(44)} ${value}`),
    ...verdict.findings.slice(0, 10).map((message) => `        ${message}`), ...stats.violationMessages.slice(0, 10).map((message) => `        ${message}`), '',
  ];
  return { text: lines.join('\n'), held: checks.every(([, , held]) => held) };
}

function errorText(stats: TrafficStats): string {
  if (stats.errorCount === 0) return '0';
  return Object.entries(stats.errors).map(([code, count]) => `${count} × ${code} (${stats.errorMessages[code] ?? ''})`).join(', ');
}
