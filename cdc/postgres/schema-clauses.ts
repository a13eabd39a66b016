/** Parts of CREATE statements, each from one piece of a definition. Pure. */
import type { QualifiedName } from '../../catalog/routing-snapshot.ts';
import type { Capabilities } from './capabilities.ts';
import { quoteIdent, quoteLiteral, quoteTable } from './quote.ts';
import type { ColumnDefinition, RequiredType, SequenceDefinition, TableDefinition } from './definition.ts';

type SequenceName = (name: QualifiedName, owned: boolean) => QualifiedName;

export function columnClause(column: ColumnDefinition, sequences: readonly SequenceDefinition[], sequenceName: SequenceName, has: Capabilities): string {
  const collation = column.collation?.explicit === true ? ` COLLATE ${quoteTable(column.collation)}` : '';
  return `${quoteIdent(column.name)} ${column.type}${collation}${valueClause(column, sequences, sequenceName, has)}${column.notNull ? ' NOT NULL' : ''}`;
}

function valueClause(column: ColumnDefinition, sequences: readonly SequenceDefinition[], sequenceName: SequenceName, has: Capabilities): string {
  if (column.generated !== null) return ` GENERATED ALWAYS AS (${column.default ?? 'NULL'}) ${column.generated === 'virtual' && has.virtualColumns ? 'VIRTUAL' : 'STORED'}`;
  if (column.identity !== null) {
    const sequence = sequences.find((each) => each.identity && each.column === column.name);
    const options = sequence === undefined ? '' : ` (SEQUENCE NAME ${quoteTable(sequenceName(sequence, true))} ${sequenceOptions(sequence)})`;
    return ` GENERATED ${column.identity.toUpperCase()} AS IDENTITY${options}`;
  }
  if (column.default === null) return '';
  return ` DEFAULT ${renamedDefault(column.default, sequences, sequenceName)}`;
}

/** `nextval('schema.name'::regclass)` of a sequence that is moved along has to name the moved one. */
function renamedDefault(expression: string, sequences: readonly SequenceDefinition[], sequenceName: SequenceName): string {
  return expression.replace(/nextval\('((?:[^']|'')+)'::regclass\)/g, (whole, spelled: string) => {
    const sequence = sequences.find((each) => spelled === quoteTable(each).replaceAll("'", "''") || spelled.replaceAll('"', '') === `${each.schema}.${each.name}`.replaceAll("'", "''"));
    return sequence === undefined ? whole : `nextval(${quoteLiteral(quoteTable(sequenceName(sequence, sequence.ownedBy !== null)))}::regclass)`;
  });
}

function sequenceOptions(sequence: SequenceDefinition): string {
  return `START WITH ${sequence.start} INCREMENT BY ${sequence.increment} MINVALUE ${sequence.min} MAXVALUE ${sequence.max} CACHE ${sequence.cache}${sequence.cycle ? ' CYCLE' : ''}`;
}

export function createSequence(sequence: SequenceDefinition, name: QualifiedName): string {
  return `CREATE SEQUENCE ${quoteTable(name)} AS ${sequence.type} ${sequenceOptions(sequence)}`;
}

export function partitionClause(partitioning: TableDefinition['partitioning']): string {
  return partitioning === null ? '' : ` PARTITION BY ${partitioning.key}`;
}

/** Empty for a base type made outside an extension: local has it or has not (preflight). */
export function createType(type: RequiredType): string[] {
  const name = quoteTable(type);
  switch (type.kind) {
    case 'enum':
      return [`CREATE TYPE ${name} AS ENUM (${type.labels.map(quoteLiteral).join(', ')})`];
    case 'domain':
      return [
        `CREATE DOMAIN ${name} AS ${type.base}${type.collation === null ? '' : ` COLLATE ${type.collation}`}${type.default === null ? '' : ` DEFAULT ${type.default}`}${type.notNull ? ' NOT NULL' : ''}`,
        ...type.checks.map((check) => `ALTER DOMAIN ${name} ADD CONSTRAINT ${quoteIdent(check.name)} ${check.definition}`),
      ];
    case 'composite':
      return [`CREATE TYPE ${name} AS (${type.fields.map((field) => `${quoteIdent(field.name)} ${field.type}${field.collation === null ? '' : ` COLLATE ${field.collation}`}`).join(', ')})`];
    case 'range':
      return [`CREATE TYPE ${name} AS RANGE (SUBTYPE = ${type.subtype})`];
    case 'extension':
      return [`CREATE EXTENSION IF NOT EXISTS ${quoteIdent(type.extension)} SCHEMA ${quoteIdent(type.schema)}`];
    case 'base':
      return [];
    default:
      return type satisfies never;
  }
}
