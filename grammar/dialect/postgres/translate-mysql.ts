/** A statement of MySQL's dialect as statements of PostgreSQL's, or the construct that stands in the way. */
import { quoteLiteral } from '../../names.ts';
import { emitDelete, emitUpdate } from './emit-change.ts';
import { localTable } from './emit-from.ts';
import { emitInsert } from './emit-insert.ts';
import type { EmittedWrite } from './emit-insert.ts';
import { QueryEmitter } from './emit-query.ts';
import { MysqlEmission, Scope } from './mysql-emission.ts';
import type { MysqlFacts, MysqlPlan, MysqlStep, MysqlTranslation } from './mysql-translation.ts';
import type { Query, Statement } from './mysql-tree.ts';
import { parseMysql } from './parse-mysql.ts';
import { refuse, RefusedMysql } from './refused-mysql.ts';

/** Words of sql_mode under which strings, NULLs and functions are others: blanks are shown behind CHAR, an empty string is NULL. */
const foreignModes = ['PAD_CHAR_TO_FULL_LENGTH', 'EMPTY_STRING_IS_NULL', 'ORACLE', 'REAL_AS_FLOAT'];

export function translateMysql(statement: string, facts: MysqlFacts): MysqlTranslation {
  try {
    const foreign = foreignModes.find((word) => facts.mode.sqlMode.has(word));
    if (foreign !== undefined) refuse(`sql_mode ${foreign}`, 0);
    const parsed = parseMysql(statement, facts.mode) ?? refuse('statement', 0);
    return { ...translate(parsed.statement, new MysqlEmission(facts)), parameters: parsed.parameters };
  } catch (error) {
    if (error instanceof RefusedMysql) return { type: 'refused', construct: error.construct, place: error.place };
    throw error;
  }
}

const nothing = { columns: [], counts: { kind: 'none' }, insertId: undefined, needsTransaction: false, commitsBefore: false, parameters: 0 } as const;

function translate(statement: Statement, emission: MysqlEmission): MysqlPlan {
  switch (statement.type) {
    case 'query': return query(statement.query, emission);
    case 'insert': case 'replace': return written(emission, statement.type === 'insert' ? 'INSERT' : 'REPLACE', () => emitInsert(new QueryEmitter(emission), statement));
    case 'update': return written(emission, 'UPDATE', () => emitUpdate(new QueryEmitter(emission), statement));
    case 'delete':
      emission.isStrictWrite = emission.facts.isLenient !== true;
      return { type: 'plan', ...nothing, ...defined(emitDelete(new QueryEmitter(emission), statement)), command: 'DELETE' };
    case 'truncate': return truncate(statement, emission);
    case 'do': {
      const queries = new QueryEmitter(emission);
      const scope = new Scope(undefined);
      const values = statement.expressions.map((each) => queries.expressions.value(each, scope).sql);
      return { type: 'plan', ...nothing, steps: [emission.step(`SELECT ${values.join(', ')}`, 'none')], command: 'DO' };
    }
    default: return refuse('statement', 0);
  }
}

/** Without RETURNING the answer is OK. */
const defined = (plan: EmittedWrite): EmittedWrite & Pick<MysqlPlan, 'columns'> => ({ ...plan, columns: plan.columns ?? [] });

/** Without strict mode a value that does not fit is changed into one that does. */
function written(emission: MysqlEmission, command: string, emit: () => EmittedWrite): MysqlPlan {
  const { sqlMode } = emission.facts.mode;
  if (!sqlMode.has('STRICT_TRANS_TABLES') && !sqlMode.has('STRICT_ALL_TABLES')) refuse(`${command} without strict mode`, 0);
  emission.isStrictWrite = emission.facts.isLenient !== true;
  emission.isWrite = true;
  emission.isStrictDivision = sqlMode.has('ERROR_FOR_DIVISION_BY_ZERO');
  const plan = emit();
  return { type: 'plan', ...nothing, ...defined(plan), needsTransaction: plan.steps.length > 1, command };
}

function query(node: Query, emission: MysqlEmission): MysqlPlan {
  const queries = new QueryEmitter(emission);
  const { sql, unlimited, shown } = queries.query(node, undefined, true);
  const isCounted = node.body.type === 'select' && node.body.calcFoundRows && node.limit !== undefined;
  const steps: MysqlStep[] = [emission.step(sql, 'rows')];
  if (isCounted) steps.push(emission.step(`SELECT count(*) FROM (${unlimited}) AS "~counted"`, 'keys'));
  return { type: 'plan', ...nothing, steps, columns: shown, command: 'SELECT', needsTransaction: isCounted, ...(isCounted ? { foundRows: { step: 1, column: 0 } } : {}) };
}

/** Numbers begin again. */
function truncate(statement: Extract<Statement, { type: 'truncate' }>, emission: MysqlEmission): MysqlPlan {
  const { database, name, place } = statement.table;
  const table = emission.table(database, name, place);
  if (table.isReferenced) refuse('TRUNCATE of a table that foreign keys point at', place);
  const steps = [emission.step(`TRUNCATE ${localTable(table)}`, 'none')];
  for (const { sequence } of table.columns) if (sequence !== undefined) steps.push(emission.step(`SELECT setval(${quoteLiteral(sequence)}::regclass, 1, false)`, 'none'));
  return { type: 'plan', ...nothing, steps, command: 'TRUNCATE', needsTransaction: steps.length > 1, commitsBefore: true };
}
