/** SET of UPDATE: from left to right, each sees what those before it have made. */
import { quoteName } from '../../names.ts';
import { assignValue } from './assign-value.ts';
import type { QueryEmitter } from './emit-query.ts';
import type { MysqlEmission, Scope } from './mysql-emission.ts';
import type { MysqlColumnFacts, MysqlTableFacts } from './mysql-translation.ts';
import type { Assignment } from './mysql-tree.ts';
import { columnType } from './mysql-type.ts';
import { refuse } from './refused-mysql.ts';

export interface SetColumn {
  readonly column: MysqlColumnFacts;
  /** Not yet of the column's own type. */
  readonly sql: string;
}

/** `qualifier`: what stands before the table's columns in PostgreSQL's text. `isOrdered`: false where no order is promised. */
export function setAssignments(queries: QueryEmitter, table: MysqlTableFacts, assignments: readonly Assignment[], scope: Scope, qualifier: string, isOrdered = true): readonly SetColumn[] {
  const isSimultaneous = queries.emission.facts.mode.sqlMode.has('SIMULTANEOUS_ASSIGNMENT');
  checkTouched(queries.emission, table, assignments[0]?.place);
  const sets: SetColumn[] = [];
  for (const { column: name, value: node, place } of assignments) {
    const column = table.columns.find(({ mysqlName }) => mysqlName.toLowerCase() === name.toLowerCase()) ?? refuse(`column ${name}`, place);
    if (sets.some((set) => set.column === column)) return refuse('column assigned twice', place);
    if (node.type === 'default') return refuse('DEFAULT in UPDATE', place);
    scope.free.length = 0;
    const value = queries.expressions.value(node, scope);
    // The new row's value of the same column has been checked on its way into that row.
    const sql = value.sql === `excluded.${quoteName(column.name)}` ? value.sql : assignValue(queries.emission, { table, column }, value, place);
    if (!isOrdered && scope.free.some(({ value }) => sets.some((set) => value.sql === `${qualifier}.${quoteName(set.column.name)}`))) return refuse('SET that reads what it assigns, of several tables or with a subquery', place);
    sets.push({ column, sql });
    if (!isSimultaneous && isOrdered) scope.substitutes.set(`${qualifier}.${quoteName(column.name)}`, `(${sql})::${column.localType}`);
  }
  scope.substitutes.clear();
  return sets;
}

/** ON UPDATE CURRENT_TIMESTAMP is a trigger on local, whose clock shows UTC: an instant is the same everywhere, a date and time is not. */
export function checkTouched(emission: MysqlEmission, table: MysqlTableFacts, place: number | undefined): void {
  if (!emission.isUtc && table.columns.some((column) => column.onUpdateNow && columnType(column).kind !== 'timestamp')) refuse('DATETIME with ON UPDATE CURRENT_TIMESTAMP in another time zone than UTC', place);
}

/** Whether a row would be another than it is, byte for byte: MySQL writes and counts no others. */
export function changesRow(sets: readonly SetColumn[], qualifier: string): string {
  return `ROW(${sets.map(({ column }) => `${qualifier}.${quoteName(column.name)}`).join(', ')})::record *<> ROW(${sets.map(({ column, sql }) => `(${sql})::${column.localType}`).join(', ')})::record`;
}
