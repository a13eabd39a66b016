/**
 * Statements that are nearly the same in both dialects, by their words: for tests of sessions, which are not to depend on how much of MySQL's dialect
 * is translated. Understands SELECT, INSERT … VALUES, UPDATE and DELETE of one table, and functions of the session without one.
 */
import type { MysqlFacts, MysqlPlan, MysqlResultColumn, MysqlSlot, MysqlTranslation } from '../../../grammar/dialect/postgres/mysql-translation.ts';
import type { MysqlDialect } from '../../../src/session/mysql-local/mysql-local.ts';

const table = /^\s*(?:select\b[\s\S]*?\bfrom|insert\s+into|update|delete\s+from)\s+`?(?:(\w+)`?\.`?)?(\w+)`?/i;
const session: Readonly<Record<string, Extract<MysqlSlot, { kind: 'session' }>['value']>> = { 'last_insert_id()': 'last_insert_id', 'row_count()': 'row_count', 'found_rows()': 'found_rows' };
const types: readonly (readonly [RegExp, number, MysqlResultColumn['form']['kind']])[] = [[/^boolean/, 1, 'boolean'], [/^smallint/, 2, 'same'], [/^integer/, 3, 'same'], [/^bigint/, 8, 'same'], [/^bytea/, 252, 'bytes']];

export const plainDialect: MysqlDialect = {
  split: (text) => text.split(';').flatMap((each) => (each.trim() === '' ? [] : [{ text: each.trim(), offset: text.indexOf(each) }])),
  classify: (text) => {
    const [, database, name] = table.exec(text) ?? [];
    const isRead = /^\s*select/i.test(text);
    if (!isRead && name === undefined) return undefined;
    const written = !isRead || /for update/i.test(text);
    return { kind: isRead ? 'read' : 'write', relations: name === undefined ? [] : [{ database, name, place: 0, written }], functions: [], readsVariables: false, parameters: (text.match(/\?/g) ?? []).length };
  },
  translate,
  pgValue: () => ({ value }) => ({ type: 'value', text: value }),
};

function translate(text: string, facts: MysqlFacts): MysqlTranslation {
  const slots: MysqlSlot[] = [];
  let pg = text.replaceAll('`', '"').replace(/\?|\b\w+\(\)/g, (found) => {
    const value = session[found.toLowerCase()];
    if (found !== '?' && value === undefined) return found;
    slots.push(value === undefined ? { kind: 'parameter', number: slots.length + 1, form: { kind: 'text' } } : { kind: 'session', value });
    return value === undefined ? `$${slots.length}` : `$${slots.length}::bigint`;
  });
  const [, database, name] = table.exec(text) ?? [];
  const found = name === undefined ? undefined : facts.table(database ?? facts.database ?? '', name);
  if (name !== undefined && !found) return { type: 'refused', construct: `table ${name}`, place: 0 };
  if (/refuse_me/.test(text)) return { type: 'refused', construct: 'REFUSE_ME', place: 3 };
  if (found) pg = pg.replace(new RegExp(String.raw`"?(?:\w+"?\.)?"?${name}"?`), `"${found.schema}"."${found.name}"`);
  const usual = { insertId: undefined, counts: { kind: 'none' }, needsTransaction: false, parameters: slots.length, commitsBefore: false, columns: [] } as const satisfies Partial<MysqlPlan>;
  const command = (/^\s*(\w+)/.exec(text)?.[1] ?? '').toUpperCase();
  if (command === 'SELECT') return { type: 'plan', ...usual, command, columns: columnsOf(text, facts), steps: [{ text: pg, slots, answer: 'rows' }] };
  if (command !== 'INSERT') return { type: 'plan', ...usual, command, counts: { kind: 'tags', steps: [0] }, steps: [{ text: pg, slots, answer: 'count' }] };
  const key = found?.columns.find(({ autoIncrement }) => autoIncrement);
  if (!key) return { type: 'plan', ...usual, command, counts: { kind: 'tags', steps: [0] }, steps: [{ text: pg, slots, answer: 'count' }] };
  const isGiven = new RegExp(String.raw`\([^)]*\b${key.mysqlName}\b[^)]*\)\s*values`, 'i').test(text);
  return { type: 'plan', ...usual, command, counts: { kind: 'sum', step: 0, column: 1 }, insertId: { step: 0, column: 0, rows: isGiven ? 'given' : 'made' }, steps: [{ text: `${pg} RETURNING ${key.name}, 1`, slots, answer: 'keys' }] };
}

/** Of columns by their names, and of expressions that are integers. */
function columnsOf(text: string, facts: MysqlFacts): readonly MysqlResultColumn[] {
  const [, list = ''] = /select\s+([\s\S]*?)(?:\s+from\b|$)/i.exec(text) ?? [];
  const [, database, name = ''] = table.exec(text) ?? [];
  const found = facts.table(database ?? facts.database ?? '', name);
  const expressions = list.trim() === '*' ? found?.columns.map((column) => column.mysqlName) ?? [] : list.split(/,(?![^(]*\))/).map((each) => each.trim());
  return expressions.map((expression) => {
    const [, inner = expression, alias = inner] = /^(.*?)(?:\s+as\s+(\w+))?$/i.exec(expression) ?? [];
    const column = found?.columns.find(({ mysqlName }) => mysqlName === inner);
    const [, type = 253, kind = 'same'] = types.find(([pattern]) => pattern.test(column?.localType ?? 'bigint')) ?? [];
    const form = kind === 'boolean' ? { kind } as const : kind === 'bytes' ? { kind } as const : { kind: 'same' } as const;
    return { name: alias, orgName: column?.mysqlName ?? '', table: found?.mysqlName ?? '', orgTable: found?.mysqlName ?? '', database: found?.mysqlDatabase ?? '', type, length: 400, flags: 0, decimals: 0, charset: type === 253 ? 'text' : 'binary', form };
  });
}
