/** Rows of the source that local could not take as they are: one scan of the table's beginning, bounded by rows and by time. */
import type { Finding } from '../postgres/finding.ts';
import type { MysqlCapabilities } from './capabilities.ts';
import { lossConditions } from './changed-values.ts';
import type { LossCondition } from './changed-values.ts';
import { isCharacterType } from './column-type.ts';
import type { MysqlTable } from './definition.ts';
import { mysqlName, mysqlTableName } from './query.ts';
import type { MysqlQuery } from './query.ts';
import { policyFor } from './type-loss.ts';
import type { MappedColumn } from './type-map.ts';

const SCANNED_ROWS = 1_000_000;
const SCAN_SECONDS = 15;

interface Probe extends LossCondition {
  readonly mapped: MappedColumn;
}

export async function mysqlDataFindings(query: MysqlQuery, table: MysqlTable, columns: readonly MappedColumn[]): Promise<Finding[]> {
  const probes = columns.flatMap((mapped) => lossConditions(mapped).map((each): Probe => ({ mapped, ...each })));
  if (probes.length === 0) return [];
  const names = [...new Set(probes.map((probe) => mysqlName(probe.mapped.column.name)))];
  const counted = probes.map((probe, index) => `COUNT(CASE WHEN ${probe.condition} THEN 1 END) AS n${index}`);
  try {
    const rows = await query(limited(`SELECT ${counted.join(', ')} FROM (SELECT ${names.join(', ')} FROM ${mysqlTableName(table)} LIMIT ${SCANNED_ROWS}) scanned`, table.server));
    return probes.flatMap((probe, index) => findingOf(table, probe, Number(rows[0]?.[`n${index}`] ?? '0')));
  } catch (error) {
    // The server's limit; whatever else is wrong is told by the findings about privileges and settings.
    const isLimit = error instanceof Error && 'errno' in error && (error.errno === 3024 || error.errno === 1969);
    if (!isLimit) throw error;
    return [{ code: 'data_scan', severity: 'info', subject: mysqlTableName(table), message: `its rows were not looked through for values that local cannot hold: that took longer than ${SCAN_SECONDS} s`, remedy: 'The load names the first of them, if there are any.' }];
  }
}

function limited(select: string, server: MysqlCapabilities): string {
  if (!server.statementTimeout) return select;
  return server.flavour === 'mariadb' ? `SET STATEMENT max_statement_time = ${SCAN_SECONDS} FOR ${select}` : select.replace('SELECT', `SELECT /*+ MAX_EXECUTION_TIME(${SCAN_SECONDS * 1000}) */`);
}

function findingOf(table: MysqlTable, { mapped, kind }: Probe, count: number): Finding[] {
  if (count === 0) return [];
  const { name } = mapped.column;
  const policy = policyFor(mapped.policies, kind);
  const isRefused = policy === 'reject' || (policy === 'text' && kind === 'nul_character');
  const where = table.estimatedRows > SCANNED_ROWS ? `among the first ${SCANNED_ROWS} rows` : 'in the table';
  return [{
    code: kind, severity: isRefused ? 'error' : 'warning', subject: `${mysqlTableName(table)} ${name}`,
    message: `${count} ${count === 1 ? 'value' : 'values'} ${where} that local cannot hold${isRefused ? '' : `; what becomes of them is ${policy.toUpperCase()}`}`,
    remedy: isRefused ? `Change them on the source, or say what to do with them: OPTIONS (type_map '${name} ON ${kind} CLAMP').` : '', ...(isRefused ? { errorCode: 'MIG014' as const } : {}),
  }];
}

/**
 * Values of a unique key that the two sides may not agree about: equal under the strictest comparison that the server knows, and not under its own. A
 * key of `general_ci` takes both `ß` and `ss`; local takes one of them.
 */
export async function keyCollisionFindings(query: MysqlQuery, table: MysqlTable, columns: readonly MappedColumn[]): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const index of table.indexes.filter((each) => each.unique && each.parts.every((part) => part.column !== null && part.prefix === null))) {
    const parts = index.parts.map((part) => columns.find(({ column }) => column.name === part.column)?.column);
    const texts = parts.filter((column) => column !== undefined && isCharacterType(column.type) && column.collation?.endsWith('_ci') === true && !/_520_|_0900_/.test(column.collation));
    if (texts.length === 0 || table.estimatedRows > SCANNED_ROWS) continue;
    const grouped = parts.map((column) => (column !== undefined && texts.includes(column) ? `CONVERT(${mysqlName(column.name)} USING utf8mb4) COLLATE ${strictCollation}` : mysqlName(column?.name ?? '')));
    const notNull = parts.map((column) => `${mysqlName(column?.name ?? '')} IS NOT NULL`);
    const rows = await query(limited(`SELECT ${parts.map((column, at) => `MIN(${mysqlName(column?.name ?? '')}) AS v${at}`).join(', ')} FROM ${mysqlTableName(table)} WHERE ${notNull.join(' AND ')} GROUP BY ${grouped.join(', ')} HAVING COUNT(*) > 1 LIMIT 3`, table.server)).catch(() => []);
    if (rows.length === 0) continue;
    const shown = rows.map((row) => parts.map((_, at) => mysqlLiteralForPeople(row[`v${at}`] ?? '')).join(', ')).join('; ');
    findings.push({
      code: 'key_collision', severity: 'error', subject: `${mysqlTableName(table)} ${index.name}`, message: `holds values that are different to ${texts[0]?.collation ?? ''} and equal to the collation on local, such as ${shown}`,
      remedy: `Change them, or give the column another type map: OPTIONS (type_map '${texts[0]?.name ?? ''} text').`, errorCode: 'MIG011',
    });
  }
  return findings;
}

/** Knows that `ß` is `ss` and `ł` is `l`, as ICU does; every version has it. */
const strictCollation = 'utf8mb4_unicode_520_ci';

function mysqlLiteralForPeople(text: string): string {
  return `'${text.slice(0, 40)}'`;
}

