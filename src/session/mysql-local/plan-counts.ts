/** What a plan's answer says in numbers: affected rows, insert ids, rows found. Pure. */
import type { MysqlInsertId, MysqlParameter, MysqlPlan } from '../../../grammar/dialect/postgres/mysql-translation.ts';
import type { PlanAnswer } from './run-plan.ts';

export interface PlanNumbers {
  readonly affected: number;
  /** Of the OK packet; 0 for none. */
  readonly toldInsertId: bigint;
  /** LAST_INSERT_ID() from now on; undefined: as before. */
  readonly lastInsertId: bigint | undefined;
  /** ROW_COUNT(). */
  readonly rowCount: number;
  /** Behind the OK. */
  readonly info: string;
  /** FOUND_ROWS(); undefined: as before. */
  readonly foundRows: string | undefined;
}

/** The server makes a number in place of NULL, and in place of 0 unless sql_mode says otherwise. */
export function isMade(parameter: MysqlParameter | undefined, { sqlMode }: { readonly sqlMode: ReadonlySet<string> }): boolean {
  if (!parameter || parameter.value === null) return true;
  return Number(parameter.value) === 0 && !sqlMode.has('NO_AUTO_VALUE_ON_ZERO');
}

/** `shown`: rows that the client has got; `made`: whether NULL or 0 stood in place of a number in that parameter. */
export function countsOf(plan: MysqlPlan, answer: PlanAnswer, shown: number, made: (parameter: number) => boolean): PlanNumbers {
  const affected = affectedRows(plan, answer);
  const ids = plan.insertId === undefined ? undefined : insertIds(plan.insertId, answer, made);
  const said = plan.lastInsertId && answer.rows[plan.lastInsertId.step]?.[0]?.[plan.lastInsertId.column];
  const lastInsertId = said === undefined || said === null ? ids?.made : BigInt(said);
  const hasRows = plan.columns.length > 0;
  const found = plan.foundRows && answer.rows[plan.foundRows.step]?.[0]?.[plan.foundRows.column];
  return {
    affected, toldInsertId: ids?.made ?? ids?.given ?? (said === undefined || said === null || hasRows ? 0n : BigInt(said)), lastInsertId, rowCount: hasRows ? -1 : affected,
    info: infoOf(plan, answer, affected),
    foundRows: hasRows ? found ?? String(shown) : undefined,
  };
}

/** As the server words it. */
function infoOf({ info }: MysqlPlan, { rows }: PlanAnswer, affected: number): string {
  if (info === undefined) return '';
  if (info.kind === 'records') return `Records: ${affected}  Duplicates: 0  Warnings: 0`;
  const [row] = rows[info.step] ?? [];
  return `Rows matched: ${row?.[info.matched] ?? '0'}  Changed: ${row?.[info.changed] ?? '0'}  Warnings: 0`;
}

function affectedRows({ counts }: MysqlPlan, { rows, tags }: PlanAnswer): number {
  switch (counts.kind) {
    case 'none':
      return 0;
    case 'tags':
      return counts.steps.reduce((sum, step) => sum + Number(/\d+$/.exec(tags[step] ?? '')?.[0] ?? 0), 0);
    case 'sum':
      return (rows[counts.step] ?? []).reduce((sum, row) => sum + Number(row[counts.column] ?? 0), 0);
    default:
      return counts satisfies never;
  }
}

interface InsertIds {
  /** The first that the server has made. */
  readonly made: bigint | undefined;
  /** The last that the statement has given. */
  readonly given: bigint | undefined;
}

function insertIds({ step, column, rows: kinds, inserted }: MysqlInsertId, { rows }: PlanAnswer, isMadeFor: (parameter: number) => boolean): InsertIds {
  let made: bigint | undefined;
  let given: bigint | undefined;
  (rows[step] ?? []).forEach((row, index) => {
    const text = row[column];
    if (text === undefined || text === null || !/^-?\d+$/.test(text)) return;
    const kind = typeof kinds === 'string' ? kinds : kinds[index];
    const isMet = inserted !== undefined && row[inserted] !== 't';
    if (isMet) given = BigInt(text);
    else if (kind === 'made' || (typeof kind === 'object' && isMadeFor(kind.parameter))) made ??= BigInt(text);
    else if (kind !== undefined) given = BigInt(text);
  });
  return { made, given };
}
