/**
 * How the rows of a COPY are written: as an INSERT of parameters is, whose text for one row is repeated. Pure.
 */
import type { MigratedTable } from '../../../grammar/dialect/migrated-table.ts';
import { bindText } from '../../../grammar/dialect/mysql/bind-step.ts';
import type { CopyStatement } from '../../../grammar/dialect/mysql/copy-statement.ts';
import { parsePgType } from '../../../grammar/dialect/mysql/pg-type.ts';
import type { PgType } from '../../../grammar/dialect/mysql/pg-type.ts';
import type { RefusedTranslation, Step, StepValues, Translation } from '../../../grammar/dialect/mysql/translation.ts';
import { quoteName } from '../../../grammar/names.ts';

export interface CopyColumn {
  readonly name: string;
  readonly type: PgType;
}

export interface CopyPlan {
  readonly type: 'copy';
  readonly statement: CopyStatement;
  readonly table: MigratedTable;
  readonly columns: readonly CopyColumn[];
  /** The server numbers its rows, of the table of that name there. */
  readonly isNumbered: boolean;
  readonly tableText: string;
  /** Before the first row. */
  readonly head: string;
  /** Of one row, with its values from slot 0 on. */
  readonly row: Step;
  readonly times: Pick<StepValues, 'transactionTime' | 'statementTime' | 'transactionDate'>;
}

export interface CopyParts {
  readonly statement: CopyStatement;
  readonly table: MigratedTable;
  readonly times: CopyPlan['times'];
  readonly translate: (text: string) => Translation;
}

export function copyPlan({ statement, table, times, translate }: CopyParts): CopyPlan | RefusedTranslation {
  const names = statement.columns.length > 0 ? statement.columns : table.columns.filter(({ generated }) => generated === undefined).map(({ name }) => name);
  const target = `${statement.schema === undefined ? '' : `${quoteName(statement.schema)}.`}${quoteName(statement.table)}`;
  const values = (row: number): string => `(${names.map((_, index) => `$${row * names.length + index + 1}`).join(', ')})`;
  const head = `INSERT INTO ${target} (${names.map(quoteName).join(', ')}) VALUES ${values(0)}`;
  const [one, two] = [translate(head), translate(`${head}, ${values(1)}`)];
  if (one.type === 'refused') return one;
  if (two.type === 'refused') return two;
  const [first, second] = [one.steps[0], two.steps[0]];
  if (!first || !second || one.steps.length > 1 || !second.text.startsWith(`${first.text}, `)) return { type: 'refused', construct: 'COPY of this table', place: undefined };
  // What stands for the first row is what the second adds, with the slots of the first.
  const shift = second.slots.length - first.slots.length;
  const row = second.text.slice(first.text.length + 2).replace(/\0(\d+)\0/g, (_place, slot: string) => `\0${Number(slot) - shift}\0`);
  if (!first.text.endsWith(row)) return { type: 'refused', construct: 'COPY of this table', place: undefined };
  const columns = names.map((name) => ({ name, type: parsePgType(table.columns.find((column) => column.name === name)?.type ?? '') }));
  return { type: 'copy', statement, table, columns, head: first.text.slice(0, first.text.length - row.length), row: { ...first, text: row }, times, isNumbered: one.draws !== undefined, tableText: one.draws?.table ?? '' };
}

/** Undefined: the values make it refuse. */
export function rowText({ row, times }: CopyPlan, values: readonly (string | null)[]): string | undefined {
  const bound = bindText(row, { parameters: values, rows: [], ...times });
  return bound.type === 'text' ? bound.sql : undefined;
}

/** The value that cannot be written, of a row that makes it refuse; and whether PostgreSQL does not take it either. */
export function refusedValue(plan: CopyPlan, values: readonly (string | null)[]): { readonly column: CopyColumn; readonly value: string | null; readonly isInvalid: boolean } | undefined {
  const { row, times } = plan;
  for (const slot of row.slots) {
    const index = 'number' in slot ? slot.number - 1 : 0;
    const [column, value] = [plan.columns[index], values[index] ?? null];
    const place = row.slots.indexOf(slot);
    const bound = bindText({ ...row, text: `\0${place}\0` }, { parameters: values, rows: [], ...times });
    if (bound.type === 'refused' && column) return { column, value, isInvalid: value === null || isInvalid(column.type, value) };
  }
  return undefined;
}

/** Of other types a text may be a value that is not read here. */
function isInvalid({ name }: PgType, value: string): boolean {
  return (name === 'int2' || name === 'int4' || name === 'int8') && !/^\s*[-+]?[\d_]*(?:0[xob][\da-f_]*)?\s*$/i.test(value);
}
