/** Columns, with defaults and generated expressions as the versions spell them. */
import { byTable } from './by-table.ts';
import type { ByTable } from './by-table.ts';
import type { MysqlCapabilities } from './capabilities.ts';
import { isByteType, parseColumnType } from './column-type.ts';
import type { ColumnType } from './column-type.ts';
import type { MysqlCheck, MysqlColumn, MysqlDefault } from './definition.ts';
import { inScope } from './query.ts';
import type { MysqlQuery, MysqlRow, MysqlScope } from './query.ts';

export interface ColumnContext {
  readonly server: MysqlCapabilities;
  readonly checks: ByTable<MysqlCheck>;
  /** `table\0column` of the columns whose numbers are AUTO_INCREMENT's. */
  readonly numbered: ReadonlySet<string>;
}

export async function readColumns(query: MysqlQuery, scope: MysqlScope, context: ColumnContext): Promise<ByTable<MysqlColumn>> {
  const rows = await query(`
    SELECT TABLE_NAME AS tableName, COLUMN_NAME AS name, ORDINAL_POSITION AS position, COLUMN_TYPE AS columnType, CHARACTER_SET_NAME AS charset, COLLATION_NAME AS columnCollation,
           IS_NULLABLE AS isNullable, COLUMN_DEFAULT AS columnDefault, EXTRA AS extra, COLUMN_COMMENT AS columnComment, ${context.server.generatedColumns ? 'GENERATION_EXPRESSION' : 'NULL'} AS generation
      FROM information_schema.COLUMNS WHERE ${inScope(scope)} ORDER BY TABLE_NAME, ORDINAL_POSITION`);
  return byTable(rows, (row) => columnOf(row, context));
}

function columnOf(row: MysqlRow, { server, checks, numbered }: ColumnContext): MysqlColumn {
  const name = row['name'] ?? '';
  const typeText = row['columnType'] ?? '';
  const type = parseColumnType(typeText);
  const extra = (row['extra'] ?? '').toLowerCase();
  const collation = row['columnCollation'] ?? null;
  const table = row['tableName'] ?? '';
  const generation = row['generation'] ?? '';
  const jsonCheck = `json_valid(\`${name.replaceAll('`', '``')}\`)`;
  return {
    name, position: Number(row['position']), type, typeText, collation,
    charset: row['charset'] ?? null,
    padsBlanks: collation !== null && collation !== 'binary' && !/_0900_|nopad/.test(collation),
    notNull: row['isNullable'] === 'NO',
    default: generation === '' ? readDefault(row['columnDefault'] ?? null, extra, type, server) : null,
    generated: generation === '' ? null : { expression: server.flavour === 'mysql' ? unescaped(generation) : generation, kind: /stored|persistent/.test(extra) ? 'stored' : 'virtual' },
    autoIncrement: extra.includes('auto_increment'),
    isNumbered: numbered.has(`${table}\0${name}`),
    onUpdateNow: extra.includes('on update current_timestamp'),
    isJsonText: server.flavour === 'mariadb' && type.name === 'longtext' && checks(table).some((check) => check.expression.replace(/^\((.*)\)$/, '$1') === jsonCheck),
    isInvisible: /\binvisible\b/.test(extra),
    comment: row['columnComment'] ?? '',
  };
}

/** MySQL escapes the quotes of an expression as if the whole stood in a string. */
function unescaped(expression: string): string {
  return expression.replace(/\\(.)/gs, '$1');
}

export function readDefault(text: string | null, extra: string, type: ColumnType, server: MysqlCapabilities): MysqlDefault | null {
  if (text === null) return null;
  return server.flavour === 'mariadb' ? mariadbDefault(text, type) : mysqlDefault(text, extra, type);
}

/** A literal stands there without its quotes; expressions have a flag, but for the one that there has always been. */
function mysqlDefault(text: string, extra: string, type: ColumnType): MysqlDefault {
  if (/^(?:date|timestamp)/.test(type.name) && /^current_timestamp/i.test(text)) return { kind: 'expression', text };
  if (extra.includes('default_generated')) return { kind: 'expression', text: unescaped(text) };
  return literal(text, type);
}

/** Literals have their quotes, everything else is an expression. */
function mariadbDefault(text: string, type: ColumnType): MysqlDefault | null {
  if (text.toUpperCase() === 'NULL') return null;
  const [, quoted] = /^'((?:[^'\\]|''|\\.)*)'$/s.exec(text) ?? [];
  if (quoted !== undefined) return literal(quoted.replace(/''|\\(.)/gs, (_, escaped: string | undefined) => escaped ?? "'"), type);
  if (/^[-+]?[\d.]+(?:e[-+]?\d+)?$/i.test(text) || /^(?:b'[01]*'|0x[0-9a-f]*)$/i.test(text)) return literal(text, type);
  return { kind: 'expression', text };
}

/** As canonical text: bits as digits, bytes in hexadecimal. */
function literal(text: string, type: ColumnType): MysqlDefault {
  const [, bits] = /^b'([01]*)'$/i.exec(text) ?? [];
  if (type.name === 'bit' && bits !== undefined) return { kind: 'literal', text: bits.padStart(type.length ?? 1, '0') };
  if (isByteType(type)) {
    const [, hex] = /^0x([0-9a-f]*)$/i.exec(text) ?? [];
    return { kind: 'literal', text: `\\x${(hex ?? Buffer.from(text).toString('hex')).toLowerCase()}` };
  }
  return { kind: 'literal', text };
}
