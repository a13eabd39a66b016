/**
 * ANALYZE, OPTIMIZE, CHECK and REPAIR TABLE of which some tables are on local: each table on its own side, in the order of the statement, with rows as the server words them. What local
 * does not do is said in the words that servers have for a storage engine that does not.
 * https://dev.mysql.com/doc/refman/8.4/en/table-maintenance-statements.html
 */
import type { MigratedTable } from '../../../grammar/dialect/migrated-table.ts';
import type { MysqlPlan, MysqlResultColumn } from '../../../grammar/dialect/postgres/mysql-translation.ts';
import type { MysqlDefinition } from '../../../grammar/dialect/postgres/read-definition.ts';
import { quoteLiteral, quoteTableName } from '../../../grammar/names.ts';
import { readErrorFields } from '../../wire/error-fields.ts';
import { ColumnType } from '../../wire/mysql/column-definition.ts';
import type { Definer, DefinitionOutcome } from './definer.ts';

type Maintenance = Extract<MysqlDefinition, { type: 'maintenance' }>;
type Told = readonly (readonly (string | null)[])[];

/** On local; the rest of each row behind the table and the word. */
const onLocal: Readonly<Record<Maintenance['word'], { readonly sql?: (table: string) => string; readonly rows: readonly (readonly [type: string, text: string])[] }>> = {
  analyze: { sql: (table) => `ANALYZE ${table}`, rows: [['status', 'OK']] },
  optimize: { sql: (table) => `VACUUM (ANALYZE) ${table}`, rows: [['note', 'Table does not support optimize, doing vacuum + analyze instead'], ['status', 'OK']] },
  check: { rows: [['note', "The storage engine for the table doesn't support check"]] },
  repair: { rows: [['note', "The storage engine for the table doesn't support repair"]] },
};

export async function maintainTables(definer: Definer, { word, tables, options }: Maintenance): Promise<DefinitionOutcome> {
  const told: (string | null)[][] = [];
  for (const table of tables) {
    const found = definer.find(table);
    const rows = found === undefined ? await onServer(definer, `${word} TABLE ${table.database === undefined ? '' : `${quoted(table.database)}.`}${quoted(table.name)} ${options}`) : await locally(definer, word, found);
    if ('type' in rows) return rows;
    told.push(...rows.map((row) => [...row]));
  }
  return { type: 'plan', plan: planOf(told) };
}

async function onServer(definer: Definer, text: string): Promise<Told | DefinitionOutcome> {
  const answer = await definer.server(text);
  return answer.type === 'error' ? { type: 'error', error: answer.error, isServers: true } : answer.rows;
}

async function locally(definer: Definer, word: Maintenance['word'], { local, mysql }: MigratedTable): Promise<Told | DefinitionOutcome> {
  const { sql, rows } = onLocal[word];
  const reply = sql && (await definer.local(sql(quoteTableName(local))));
  if (reply && reply.type !== 'done') return definer.failed(reply);
  // Whose right is missing is warned, and nothing is done.
  const skipped = reply?.notices.map((notice) => readErrorFields(notice, 0, notice.length)).find((fields) => (fields.get('V') ?? fields.get('S')) === 'WARNING');
  if (skipped) return definer.failed({ type: 'error', fields: new Map([['C', '42501'], ['M', skipped.get('M') ?? '']]) });
  return rows.map(([type, text]) => [`${mysql.database}.${mysql.name}`, word, type, text]);
}

function quoted(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``;
}

const column = (name: string, length: number, type: number = ColumnType.varString): MysqlResultColumn => ({ name, orgName: '', table: '', orgTable: '', database: '', type, length, flags: 0, decimals: 31, charset: 'text', form: { kind: 'same' } });

/** What the gateway has been told is asked of local, for the answer to go the way of all rows. */
function planOf(rows: Told): MysqlPlan {
  const values = rows.map((row) => `(${row.map((value) => (value === null ? 'NULL' : quoteLiteral(value))).join(', ')})`);
  return {
    type: 'plan', steps: [{ text: `VALUES ${values.join(', ')}`, slots: [], answer: 'rows' }], columns: [column('Table', 512), column('Op', 40), column('Msg_type', 40), column('Msg_text', 1_572_864, ColumnType.mediumBlob)],
    counts: { kind: 'none' }, insertId: undefined, needsTransaction: false, command: 'SELECT', parameters: 0, commitsBefore: false,
  };
}
