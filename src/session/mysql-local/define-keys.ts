/**
 * Keys that only find rows, made and dropped on both sides (docs/decisions/0033): made on local first and at the server then, dropped at the server first. Whatever ends in the middle leaves
 * local with a key more than the server, which changes no answer and no row; the same statement, sent again, goes on from there.
 */
import { isLongText } from '../../../grammar/dialect/long-text.ts';
import type { MigratedColumn, MigratedTable } from '../../../grammar/dialect/migrated-table.ts';
import type { AddedKey, KeyPart, MysqlDefinition } from '../../../grammar/dialect/postgres/read-definition.ts';
import { quoteLiteral, quoteName, quoteTableName, truncateName } from '../../../grammar/names.ts';
import { mysqlErrorOf } from '../mysql/control-result.ts';
import type { Definer, DefinitionOutcome } from './definer.ts';
import { notServed } from './refusals.ts';

type KeyChange = Extract<MysqlDefinition, { type: 'keys' }>;

interface LocalIndex {
  readonly name: string;
  /** It refuses rows, or is that of a constraint. */
  readonly isStrict: boolean;
  readonly isValid: boolean;
  /** Behind USING. */
  readonly tail: string;
}

interface Build {
  readonly name: string;
  readonly sql: string;
  /** Once the one that it replaces is gone. */
  readonly becomes: string | undefined;
}

const DUPLICATE_KEY_NAME = 1061;
const NO_SUCH_KEY = 1091;
const DUPLICATE_OBJECT = '42P07';
/** Behind the name of a key that takes the place of one that the same statement drops. */
const IN_PLACE = ' (new)';
/** Of letters, which may have three bytes each where a name may have 63. */
const SHORT = 19;

export async function changeKeys(definer: Definer, change: KeyChange): Promise<DefinitionOutcome> {
  const table = definer.find(change.tables[0]);
  if (!table) return { type: 'error', error: mysqlErrorOf(notServed('a definition of this table')), isServers: false };
  const asked = await definer.local(indexesSql(table));
  if (asked.type !== 'done') return definer.failed(asked);
  if (asked.rows[0]?.[0] !== 't') return definer.failed({ type: 'error', fields: new Map([['C', '42501'], ['M', `must be owner of table ${table.local.name}`]]) });
  const indexes = asked.rows.flatMap(([, name, isStrict, isValid, definition]): LocalIndex[] => (name === null || name === undefined ? [] : [{ name, isStrict: isStrict === 't', isValid: isValid === 't', tail: definition?.replace(/^.*? USING /s, '') ?? '' }]));
  const dropped = change.dropped.flatMap((name) => indexes.filter((index) => isNamed(index, localName(table, name))));
  const strict = change.dropped.find((name) => table.uniqueKeys.some(({ mysqlName }) => mysqlName.toLowerCase() === name.toLowerCase())) ?? dropped.find(({ isStrict }) => isStrict)?.name;
  if (strict !== undefined) return { type: 'error', error: mysqlErrorOf(notServed(`DROP INDEX of the unique key ${strict}`)), isServers: false };
  const builds: Build[] = [];
  for (const key of change.added) {
    const build = await buildOf(definer, table, key, indexes, dropped);
    if (build && 'type' in build) return build;
    if (build) builds.push(build);
  }
  return new KeyRun(definer, table, dropped, builds).run(change);
}

class KeyRun {
  readonly #definer: Definer;
  readonly #schema: string;
  readonly #dropped: readonly LocalIndex[];
  readonly #builds: readonly Build[];
  readonly #made: string[] = [];

  constructor(definer: Definer, { local }: MigratedTable, dropped: readonly LocalIndex[], builds: readonly Build[]) {
    this.#definer = definer;
    this.#schema = local.schema;
    this.#dropped = dropped;
    this.#builds = builds;
  }

  async run({ added }: KeyChange): Promise<DefinitionOutcome> {
    for (const { name, sql } of this.#builds) {
      const built = await this.#definer.local(sql);
      // Of two who make the same key the other one's stays.
      if (built.type !== 'error' || built.fields.get('C') !== DUPLICATE_OBJECT) this.#made.push(name);
      if (built.type !== 'done') return this.#undone(this.#definer.failed(built));
    }
    const answer = await this.#definer.serverItself();
    // A statement before this one has come so far.
    const isDroppedThere = answer.type === 'error' && answer.error.code === NO_SUCH_KEY && added.length === 0 && this.#dropped.length === 1;
    if (answer.type === 'error' && !isDroppedThere) return this.#undone({ type: 'error', error: answer.error, isServers: true });
    for (const { name } of this.#dropped) {
      const gone = await this.#drop(name);
      if (gone) return gone;
    }
    for (const { name, becomes } of this.#builds) {
      if (becomes === undefined) continue;
      const renamed = await this.#definer.local(`ALTER INDEX ${this.#quoted(name)} RENAME TO ${quoteName(becomes)}`);
      if (renamed.type !== 'done') return this.#definer.failed(renamed);
    }
    return { type: 'ok', said: answer.type === 'error' ? {} : answer.said };
  }

  #quoted(name: string): string {
    return quoteTableName({ schema: this.#schema, name });
  }

  async #drop(name: string): Promise<DefinitionOutcome | undefined> {
    const reply = await this.#definer.local(`DROP INDEX CONCURRENTLY IF EXISTS ${this.#quoted(name)}`);
    return reply.type === 'done' ? undefined : this.#definer.failed(reply);
  }

  /** What cannot be taken back only finds rows. */
  async #undone(outcome: DefinitionOutcome): Promise<DefinitionOutcome> {
    for (const name of this.#made) await this.#drop(name);
    return outcome;
  }
}

/** Undefined: local has it, or gets none, as when the table was started. */
async function buildOf(definer: Definer, table: MigratedTable, key: AddedKey, indexes: readonly LocalIndex[], dropped: readonly LocalIndex[]): Promise<Build | DefinitionOutcome | undefined> {
  const parts = key.parts.map((part) => partSql(table, part));
  if (parts.includes(undefined)) return undefined;
  const tail = `btree (${parts.join(', ')})`;
  const wanted = localName(table, key.name);
  const isReplaced = dropped.some((index) => isNamed(index, wanted));
  const name = isReplaced ? `${wanted.slice(0, SHORT)}${IN_PLACE}` : wanted;
  const found = indexes.find((index) => isNamed(index, name));
  const sql = `CREATE INDEX CONCURRENTLY ${quoteName(name)} ON ${quoteTableName(table.local)} USING ${tail}`;
  const build: Build = { name, sql, becomes: isReplaced ? wanted : undefined };
  if (!found) return build;
  if (!isReplaced && !found.isStrict && found.isValid && bare(found.tail) === bare(tail)) return undefined;
  if (isReplaced || (!found.isStrict && !found.isValid)) {
    const gone = await definer.local(`DROP INDEX CONCURRENTLY IF EXISTS ${quoteTableName({ schema: table.local.schema, name: found.name })}`);
    return gone.type === 'done' ? build : definer.failed(gone);
  }
  if (key.isOptional) return undefined;
  return { type: 'error', error: { code: DUPLICATE_KEY_NAME, sqlstate: '42000', message: `Duplicate key name '${key.name}'` }, isServers: false };
}

/** As the definition of the whole table is converted. */
function partSql(table: MigratedTable, { column: name, prefix, descending }: KeyPart): string | undefined {
  const column = table.columns.find((each) => each.name.toLowerCase() === name.toLowerCase());
  if (!column) return undefined;
  return `${prefix !== undefined && isLong(column) ? firstOf(column, prefix) : quoteName(column.name)}${descending && hasDescending(table.server) ? ' DESC' : ''}`;
}

function isLong({ mysqlType, length, charset }: MigratedColumn): boolean {
  return isLongText({ type: mysqlType, length, charset });
}

function firstOf({ name, type }: MigratedColumn, prefix: number): string {
  return type === 'bytea' ? `(substr(${quoteName(name)}, 1, ${prefix}))` : `("left"(${quoteName(name)}, ${prefix}))`;
}

/** Older servers take the word, and make an ascending key. */
function hasDescending({ flavour, version }: MigratedTable['server']): boolean {
  return version >= (flavour === 'mysql' ? 80_001 : 100_801);
}

function localName({ mysql }: MigratedTable, key: string): string {
  return truncateName(`${mysql.name}_${key}`);
}

function isNamed(index: LocalIndex, name: string): boolean {
  return index.name.toLowerCase() === name.toLowerCase();
}

/** Local quotes where it has to. */
function bare(tail: string): string {
  return tail.replaceAll('"', '');
}

function indexesSql({ local }: MigratedTable): string {
  return `SELECT pg_catalog.pg_has_role(t.relowner, 'USAGE'), c.relname, i.indisunique OR i.indisexclusion OR i.indisreplident, i.indisvalid, pg_catalog.pg_get_indexdef(i.indexrelid)
    FROM pg_catalog.pg_class t LEFT JOIN pg_catalog.pg_index i ON i.indrelid = t.oid LEFT JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid WHERE t.oid = ${quoteLiteral(quoteTableName(local))}::pg_catalog.regclass`;
}
