/**
 * A MySQL table as a PostgreSQL table: the same value that a PostgreSQL source's own introspection gives, so that planning, creation, keys, foreign
 * keys and everything after it are those of every other source. What a definition of PostgreSQL cannot say (collations that stand for MySQL's,
 * ON UPDATE CURRENT_TIMESTAMP) are steps of its own before and behind the table's.
 */
import { createHash } from 'node:crypto';
import type { QualifiedName } from '../../catalog/routing-snapshot.ts';
import { planSchema } from '../postgres/create-schema.ts';
import type { SchemaOptions, SchemaPlan, SchemaStep } from '../postgres/create-schema.ts';
import type { ForeignKeyDefinition, IndexDefinition, TableDefinition } from '../postgres/definition.ts';
import type { Finding } from '../postgres/finding.ts';
import { quoteIdent, quoteLiteral, quoteTable } from '../postgres/quote.ts';
import { truncateName } from '../../grammar/names.ts';
import type { TableMapping } from '../source-side.ts';
import type { TablePlan } from '../table-plan.ts';
import { mysqlSupportSchema } from './collation.ts';
import type { LocalCollation } from './collation.ts';
import { convertColumns } from './convert-columns.ts';
import { convertForeignKeys, convertIndexes } from './convert-indexes.ts';
import type { MysqlTable } from './definition.ts';
import { nowExpression } from './translate-default.ts';
import type { MappedColumn } from './type-map.ts';

export type ConvertOptions = TableMapping;

export interface ConvertedTable {
  /** As if a PostgreSQL server had described the table; expressions are spelled by `settleDefinition`. */
  readonly definition: TableDefinition;
  /** In the order of the definition's columns. */
  readonly mapped: readonly MappedColumn[];
  readonly collations: readonly LocalCollation[];
  readonly findings: readonly Finding[];
  /** Of everything that the meaning of the source's values depends on, also where local's type hides it: labels, character sets, signs. */
  readonly sourceHash: string;
}

export function convertTable(table: MysqlTable, options: ConvertOptions = {}): ConvertedTable {
  const targetSchema = options.targetSchema ?? table.schema;
  const converted = convertColumns(table, { overrides: options.overrides ?? [], targetSchema, ...(options.columns === undefined ? {} : { columns: options.columns }) });
  const keys = convertIndexes(table, converted);
  const findings = [...converted.findings, ...keys.findings];
  const carried = new Set(converted.columns.map((column) => column.name));
  const foreignKeys = convertForeignKeys(table.foreignKeys.filter((key) => key.columns.every((name) => carried.has(name))), findings);
  const definition: TableDefinition = {
    // Neither number of the source means anything on local.
    serverVersion: 0, oid: 0, schema: table.schema, name: table.name, kind: 'table', persistence: 'permanent', owner: '', comment: table.comment === '' ? null : table.comment,
    storageOptions: [], withOids: false, columns: converted.columns, constraints: [...keys.constraints, ...converted.checks], foreignKeys, referencedBy: convertParents(table),
    indexes: keys.indexes, triggers: [], rules: [], rowSecurity: { enabled: false, forced: false }, policies: [], sequences: converted.sequences,
    replicaIdentity: identityOf(keys.indexes, converted.columns), partitioning: null, partitions: [], partitionOf: null, inherits: [], inheritedBy: [], grants: [], schemaUsers: [],
    requiredTypes: converted.types, views: [], estimatedRows: table.estimatedRows, bytes: table.bytes,
  };
  return { definition, mapped: converted.mapped, collations: converted.collations, findings, sourceHash: sourceHash(table) };
}

function sourceHash(table: MysqlTable): string {
  const columns = table.columns.map(({ name, position, typeText, charset, collation, notNull, generated, autoIncrement }) => [name, position, typeText, charset, collation, notNull, generated, autoIncrement]);
  const keys = table.indexes.filter((index) => index.unique).map((index) => index.parts);
  return createHash('sha256').update(JSON.stringify([table.engine, columns, keys])).digest('hex').slice(0, 32);
}

/** Its own findings come with the child. */
function convertParents(table: MysqlTable): ForeignKeyDefinition[] {
  return convertForeignKeys(table.referencedBy, []);
}

/** The log holds whole rows, so that any key identifies them. */
function identityOf(indexes: readonly IndexDefinition[], columns: TableDefinition['columns']): TableDefinition['replicaIdentity'] {
  if (indexes.some((index) => index.primary && index.columns.every((name) => name !== null))) return { kind: 'default', index: null };
  const isSolid = (name: string | null): boolean => columns.some((column) => column.name === name && column.notNull && column.generated === null);
  const best = indexes.filter((index) => index.unique && index.constraint !== null && index.columns.every(isSolid)).sort((a, b) => a.columns.length - b.columns.length)[0];
  return best === undefined ? { kind: 'full', index: null } : { kind: 'index', index: best.name };
}

/** As `planSchema`, with what only a table of MySQL needs. */
export function planMysqlSchema(converted: ConvertedTable, plan: TablePlan, options: SchemaOptions): SchemaPlan {
  const schema = planSchema(converted.definition, plan, options);
  return { ...schema, preData: [...collationSteps(converted.collations), ...schema.preData, ...onUpdateSteps(converted, plan.target)] };
}

export function collationSteps(collations: readonly LocalCollation[]): SchemaStep[] {
  if (collations.length === 0) return [];
  const schema: SchemaStep = { name: `schema ${mysqlSupportSchema}`, done: `to_regnamespace(${quoteLiteral(quoteIdent(mysqlSupportSchema))}) IS NOT NULL`, sql: [`CREATE SCHEMA IF NOT EXISTS ${quoteIdent(mysqlSupportSchema)}`, `GRANT USAGE ON SCHEMA ${quoteIdent(mysqlSupportSchema)} TO PUBLIC`] };
  return [schema, ...collations.map(({ definition, locale }): SchemaStep => ({
    name: `collation ${definition.schema}.${definition.name}`,
    done: `EXISTS (SELECT 1 FROM pg_collation c JOIN pg_namespace n ON n.oid = c.collnamespace WHERE n.nspname = ${quoteLiteral(definition.schema)} AND c.collname = ${quoteLiteral(definition.name)})`,
    sql: [`CREATE COLLATION IF NOT EXISTS ${quoteTable(definition)} (provider = icu, locale = ${quoteLiteral(locale ?? 'und')}, deterministic = false)`],
  }))];
}

/**
 * ON UPDATE CURRENT_TIMESTAMP: an update that changes a column and does not set this one to another value sets it to the time of the
 * statement. The appliers write with triggers off, so that values of the source stay as they are.
 */
function onUpdateSteps({ mapped, definition }: ConvertedTable, target: QualifiedName): SchemaStep[] {
  const touched = mapped.filter(({ column }) => column.onUpdateNow);
  if (touched.length === 0) return [];
  const name = truncateName(`${target.name}_on_update`);
  const compared = definition.columns.filter((column) => column.generated === null).map((column) => quoteIdent(column.name));
  // As records the images are compared byte for byte, as MySQL does; a bare ROW would compare column by column, with operators that not every type has.
  const row = (side: 'NEW' | 'OLD'): string => `ROW(${compared.map((column) => `${side}.${column}`).join(', ')})::record`;
  const body = touched.map(({ column, local }) => {
    const quoted = quoteIdent(column.name);
    const type = local === 'enum' ? 'text' : local.spelled;
    return `IF NEW.${quoted} IS NOT DISTINCT FROM OLD.${quoted} THEN NEW.${quoted} := ${nowExpression(column.type.length ?? 0, type)}; END IF;`;
  }).join(' ');
  const source = `BEGIN IF ${row('NEW')} *<> ${row('OLD')} THEN ${body} END IF; RETURN NEW; END`;
  return [{
    name: `trigger ${name}`,
    done: `EXISTS (SELECT 1 FROM pg_trigger WHERE tgrelid = to_regclass(${quoteLiteral(quoteTable(target))}) AND tgname = ${quoteLiteral(name)})`,
    sql: [
      `CREATE OR REPLACE FUNCTION ${quoteTable({ schema: target.schema, name })}() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS ${quoteLiteral(source)}`,
      `CREATE TRIGGER ${quoteIdent(name)} BEFORE UPDATE ON ${quoteTable(target)} FOR EACH ROW EXECUTE FUNCTION ${quoteTable({ schema: target.schema, name })}()`,
    ],
  }];
}
