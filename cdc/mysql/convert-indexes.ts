/** Keys, indexes and foreign keys of a MySQL table as those of a PostgreSQL table. Pure. */
import type { ConstraintDefinition, ForeignKeyDefinition, IndexDefinition } from '../postgres/definition.ts';
import type { Finding } from '../postgres/finding.ts';
import { quoteIdent, quoteList } from '../postgres/quote.ts';
import { truncateName } from '../../grammar/names.ts';
import { isByteType } from './column-type.ts';
import type { ConvertedColumns } from './convert-columns.ts';
import type { MysqlForeignKey, MysqlIndex, MysqlIndexPart, MysqlTable } from './definition.ts';
import { mysqlTableName } from './query.ts';
import { translateExpression } from './translate-expression.ts';
import { isLongText } from './type-map.ts';

export interface ConvertedIndexes {
  readonly indexes: readonly IndexDefinition[];
  readonly constraints: readonly ConstraintDefinition[];
  readonly findings: readonly Finding[];
}

export function convertIndexes(table: MysqlTable, converted: ConvertedColumns): ConvertedIndexes {
  const indexes: IndexDefinition[] = [];
  const constraints: ConstraintDefinition[] = [];
  const findings: Finding[] = [];
  for (const index of table.indexes) {
    const made = convertIndex(table, index, converted, findings);
    if (made === undefined) continue;
    indexes.push(made);
    if (made.constraint !== null) constraints.push(keyConstraint(made));
  }
  return { indexes, constraints, findings };
}

function convertIndex(table: MysqlTable, index: MysqlIndex, converted: ConvertedColumns, findings: Finding[]): IndexDefinition | undefined {
  const subject = `${mysqlTableName(table)} ${index.name}`;
  const skip = (code: string, message: string, remedy: string): undefined => {
    findings.push({ code, severity: index.unique ? 'error' : 'warning', subject, message, remedy, ...(index.unique ? { errorCode: 'MIG011' as const } : {}) });
    return undefined;
  };
  const columns = index.parts.map((part) => part.column ?? '(expression)').join(', ');
  if (index.kind === 'fulltext') return skip('fulltext_index', `FULLTEXT (${columns}) has no counterpart that MATCH … AGAINST would use; it is not made on local`, `CREATE INDEX ON … USING gin (to_tsvector('simple', ${index.parts.map((part) => quoteIdent(part.column ?? '')).join(` || ' ' || `)})); on local, if searches move there.`);
  if (index.kind === 'spatial') return skip('spatial_index', `SPATIAL (${columns}): geometries are bytes on local; the index is not made`, 'With PostGIS on local, add a geometry column and a GiST index.');
  if (index.kind === 'vector') return skip('vector_index', `VECTOR (${columns}): vectors are bytes on local; the index is not made`, 'With pgvector on local, add a vector column and its index.');
  const elements: string[] = [];
  for (const part of index.parts) {
    const element = convertPart(index, part, converted, subject, findings);
    if ('refused' in element) return skip('index_expression', `the index is not made on local: ${element.refused}`, 'CREATE INDEX on local by hand, over an expression that means the same.');
    elements.push(`${element.sql}${part.descending ? ' DESC' : ''}`);
  }
  const isPlain = index.parts.every((part) => part.column !== null && part.prefix === null);
  const isConstraint = index.primary || (index.unique && isPlain && index.parts.every((part) => !part.descending));
  const name = truncateName(index.primary ? `${table.name}_pkey` : `${table.name}_${index.name}`);
  return {
    name, unique: index.unique, primary: index.primary, valid: true, immediate: true, method: 'btree', predicate: null, tail: `USING btree (${elements.join(', ')})`,
    columns: index.parts.map((part) => (part.prefix === null || !isCut(part, converted, index) ? part.column : null)), constraint: isConstraint ? name : null, comment: index.comment === '' ? null : index.comment,
  };
}

type Element = { readonly sql: string } | { readonly refused: string };

function convertPart(index: MysqlIndex, part: MysqlIndexPart, converted: ConvertedColumns, subject: string, findings: Finding[]): Element {
  if (part.column === null) {
    const translated = translateExpression(part.expression ?? '', converted.scope);
    return translated.ok ? { sql: `(${translated.sql})` } : { refused: `${translated.refused} in ${part.expression ?? ''}` };
  }
  const mapped = converted.mapped.find(({ column }) => column.name === part.column);
  if (mapped === undefined) return { refused: `column ${part.column} is left out` };
  const name = quoteIdent(part.column);
  if (!isCut(part, converted, index)) return { sql: name };
  const { type } = mapped.column;
  findings.push({ code: 'prefix_index', severity: 'info', subject, message: `the first ${part.prefix} ${isByteType(type) ? 'bytes' : 'characters'} of ${part.column} become an index over an expression${index.unique ? ', which keeps the key\'s meaning' : ': statements use it only if they name the expression'}`, remedy: '' });
  if (mapped.local !== 'enum' && mapped.local.name === 'bytea') return { sql: `(substr(${name}, 1, ${part.prefix}))` };
  return { sql: `("left"(${name}, ${part.prefix}))` };
}

/** A prefix matters where it makes a key stricter, or where the whole value would not fit into an index entry. */
function isCut(part: MysqlIndexPart, converted: ConvertedColumns, index: MysqlIndex): boolean {
  const mapped = converted.mapped.find(({ column }) => column.name === part.column);
  return part.prefix !== null && mapped !== undefined && (index.unique || isLongText(mapped));
}

function keyConstraint(index: IndexDefinition): ConstraintDefinition {
  const columns = index.columns.filter((name) => name !== null);
  return {
    name: index.name, type: index.primary ? 'primary' : 'unique', columns, definition: `${index.primary ? 'PRIMARY KEY' : 'UNIQUE'} (${quoteList(columns)})`,
    validated: true, deferrable: false, deferred: false, noInherit: false, comment: null,
  };
}

/** Foreign keys to columns that are not unique have no counterpart; they become findings. */
export function convertForeignKeys(keys: readonly MysqlForeignKey[], findings: Finding[]): ForeignKeyDefinition[] {
  return keys.flatMap((key) => {
    if (!key.isParentUnique) {
      findings.push({ code: 'foreign_key_parent', severity: 'warning', subject: `${mysqlTableName(key.child)} ${key.name}`, message: `points at (${key.parentColumns.join(', ')}) of ${mysqlTableName(key.parent)}, which is no unique key: local cannot have such a foreign key`, remedy: 'Make the columns of the parent unique, or live without the key on local.' });
      return [];
    }
    return [{
      name: truncateName(key.name), child: key.child, columns: key.columns, parent: key.parent, parentColumns: key.parentColumns, onUpdate: key.onUpdate, onDelete: key.onDelete, onDeleteColumns: [],
      match: 'simple' as const, deferrable: false, deferred: false, validated: true,
    }];
  });
}
