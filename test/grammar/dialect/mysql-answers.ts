/** Whether two answers to a MySQL client are the same. */
import type { ColumnDescription, MysqlAnswer, Rows } from './mysql-corpus.ts';
import { sortedRows } from './mysql-corpus.ts';

/** Types of expressions, which versions give in other widths: what a driver makes of them is the same. */
const families: Readonly<Record<number, string>> = { 1: 'integer', 2: 'integer', 3: 'integer', 8: 'integer', 9: 'integer', 16: 'bit', 13: 'integer', 4: 'double', 5: 'double', 246: 'decimal', 10: 'date', 12: 'datetime', 7: 'datetime', 11: 'time', 245: 'text', 247: 'text', 248: 'text', 249: 'text', 250: 'text', 251: 'text', 252: 'text', 253: 'text', 254: 'text', 6: 'null' };

function describedAs(column: ColumnDescription): string {
  const { name, orgName, table, orgTable, database, type } = column;
  return JSON.stringify(orgName === '' ? { name, type: families[type] ?? type } : { name, orgName, table, orgTable, database, type });
}

/** `isVague`: types of expressions do not count, which old servers describe as strings. A negative zero is a zero, which docs/mysql.md says. The difference in words; undefined: none that counts. */
export function answersDiffer(expected: MysqlAnswer, found: MysqlAnswer, isOrdered: boolean, isVague: boolean): string | undefined {
  const rows = (of: Rows): string => {
    const unsigned = of.map((row) => row.map((value) => (value !== null && /^-0(?:\.0+)?$/.test(value) ? value.slice(1) : value)));
    return isOrdered ? JSON.stringify(unsigned) : sortedRows(unsigned);
  };
  if (rows(expected.rows) !== rows(found.rows)) return `server: ${rows(expected.rows).slice(0, 700)}\n  local:  ${rows(found.rows).slice(0, 700)}`;
  const [one, other] = [expected.columns.map(describedAs), found.columns.map(describedAs)];
  const at = one.findIndex((column, index) => column !== other[index] && !isNull(expected, index) && !isLoose(expected.columns[index], found.columns[index], isVague));
  if (at >= 0 || one.length !== other.length) return `column ${at}: ${one[at]}\n  local:  ${other[at]}`;
  if (expected.affected !== found.affected) return `affected: ${expected.affected}, local: ${found.affected}`;
  if (expected.insertId !== found.insertId) return `insert id: ${expected.insertId}, local: ${found.insertId}`;
  const unsigned = (text: string | undefined): string | undefined => text?.replaceAll(/\\"-0(?:\.0+)?\\"/g, (zero) => zero.replace('-', ''));
  const table = expected.tables.findIndex((text, index) => unsigned(text) !== unsigned(found.tables[index]));
  return table < 0 ? undefined : `table ${table}: ${expected.tables[table]?.slice(0, 900)}\n  local:  ${found.tables[table]?.slice(0, 900)}`;
}

function isNull({ rows, columns }: MysqlAnswer, index: number): boolean {
  return (rows.length > 0 || families[columns[index]?.type ?? 0] === 'null') && rows.every((row) => row[index] === null);
}

/** NULL alone has whatever type; derived columns are named after their tables by some servers and not by others. */
function isLoose(expected: ColumnDescription | undefined, found: ColumnDescription | undefined, isVague: boolean): boolean {
  if (expected === undefined || found === undefined || expected.name !== found.name) return false;
  const [one, other] = [families[expected.type] ?? expected.type, families[found.type] ?? found.type];
  return (expected.orgName === '' || found.orgName === '') && (one === other || isVague);
}

/** Strings without case, accents and blanks at their ends. */
export function foldedAnswer(answer: MysqlAnswer): MysqlAnswer {
  const folded = (value: string | null): string | null => value?.normalize('NFD').replaceAll(/[\u0300-\u036f]/g, '').replaceAll('ß', 's').toLowerCase().trimEnd() ?? null;
  return { ...answer, rows: answer.rows.map((row) => row.map(folded)) };
}
