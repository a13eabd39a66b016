/** SHOW WARNINGS, SHOW ERRORS and their counts, of a statement that has run on local: of what the server does not know. */
import type { Capabilities } from '../../wire/mysql/capabilities.ts';
import { Collation, ColumnType } from '../../wire/mysql/column-definition.ts';
import type { ColumnDefinition } from '../../wire/mysql/column-definition.ts';
import type { MysqlError } from '../../wire/mysql/error-packet.ts';
import { writeResultSet } from '../../wire/mysql/result-set.ts';

const asks = /^\s*show\s+(count\s*\(\s*\*\s*\)\s+)?(warnings|errors)(?:\s+limit\s+(\d{1,9})(?:\s*,\s*(\d{1,9}))?)?\s*;?\s*$/i;
const LONG = 3;
const NOT_NULL = 1;
const UNSIGNED = 32;

/** Packets; undefined: the text asks for something else. `error`: what the statement has failed with; there are no warnings on local. */
export function showDiagnostics(text: string, error: MysqlError | undefined, status: number, capabilities: Capabilities, sequence: number): Buffer | undefined {
  const [asked, counts, what = '', first = '', second] = asks.exec(text) ?? [];
  if (asked === undefined) return undefined;
  const number = { collation: Collation.binary, decimals: 0 };
  if (counts !== undefined) {
    const name = `@@session.${what.toLowerCase() === 'errors' ? 'error' : 'warning'}_count`;
    return writeResultSet({ columns: [{ ...number, name, length: 21, type: ColumnType.longLong, flags: 0 }], rows: [[error ? '1' : '0']], status }, capabilities, sequence);
  }
  const text4 = (name: string, length: number): ColumnDefinition => ({ name, collation: Collation.utf8mb4, length: 4 * length, type: ColumnType.varString, flags: NOT_NULL, decimals: 31 });
  const columns = [text4('Level', 7), { ...number, name: 'Code', length: 4, type: LONG, flags: NOT_NULL | UNSIGNED }, text4('Message', 512)];
  const [skipped, most] = second === undefined ? [0, first === '' ? Infinity : Number(first)] : [Number(first), Number(second)];
  const rows = error ? [['Error', String(error.code), error.message]].slice(skipped, skipped + Math.min(most, 1)) : [];
  return writeResultSet({ columns, rows, status }, capabilities, sequence);
}
