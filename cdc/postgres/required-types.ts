/** The types behind columns that are not built in, in the order in which they have to be created on local. */
import type { ClientBase } from 'pg';
import { readJson } from './read-json.ts';
import type { RequiredType } from './definition.ts';

interface TypeRow {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly kind: string;
  readonly base: number;
  readonly element: number;
  readonly relation: number;
  readonly extension: string | null;
  readonly extensionVersion: string | null;
}

const firstUserOid = 16384;

/** Extensions whose operator classes, functions, operators or types the table's indexes, constraints, defaults and partition key use. */
export async function readRequiredExtensions(client: ClientBase, tableOid: number): Promise<RequiredType[]> {
  return readJson<Extract<RequiredType, { kind: 'extension' }>>(client, `
    WITH own AS (
      SELECT 'pg_class'::regclass::oid AS classid, indexrelid AS objid FROM pg_index WHERE indrelid = $1
      UNION ALL SELECT 'pg_constraint'::regclass, oid FROM pg_constraint WHERE conrelid = $1
      UNION ALL SELECT 'pg_attrdef'::regclass, oid FROM pg_attrdef WHERE adrelid = $1
      UNION ALL SELECT 'pg_class'::regclass, $1::int8::oid)
    SELECT DISTINCT 'extension' AS kind, n.nspname AS schema, e.extname AS name, e.extname AS extension, e.extversion AS version
      FROM own JOIN pg_depend d ON d.classid = own.classid AND d.objid = own.objid
      JOIN pg_depend m ON m.classid = d.refclassid AND m.objid = d.refobjid AND m.deptype = 'e' AND m.refclassid = 'pg_extension'::regclass
      JOIN pg_extension e ON e.oid = m.refobjid JOIN pg_namespace n ON n.oid = e.extnamespace ORDER BY 3`, [tableOid]);
}

export async function readRequiredTypes(client: ClientBase, typeOids: readonly number[]): Promise<RequiredType[]> {
  const found = new Map<number, RequiredType>();
  await visit(client, typeOids, found, new Set());
  return [...found.values()];
}

/** Depth first: what a type is made of comes before it. */
async function visit(client: ClientBase, oids: readonly number[], found: Map<number, RequiredType>, seen: Set<number>): Promise<void> {
  const wanted = oids.filter((oid) => oid >= firstUserOid && !seen.has(oid));
  if (wanted.length === 0) return;
  for (const oid of wanted) seen.add(oid);
  const rows = await readJson<TypeRow>(client, `
    SELECT t.oid::int8 AS oid, n.nspname AS schema, t.typname AS name, t.typtype AS kind, t.typbasetype::int8 AS base, t.typrelid::int8 AS relation,
           CASE WHEN t.typlen = -1 THEN t.typelem::int8 ELSE 0 END AS element, e.extname AS extension, e.extversion AS "extensionVersion"
      FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
      LEFT JOIN pg_depend d ON d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e' AND d.refclassid = 'pg_extension'::regclass
      LEFT JOIN pg_extension e ON e.oid = d.refobjid WHERE t.oid = ANY ($1::int8[]::oid[]) ORDER BY t.oid`, [wanted]);
  for (const row of rows) {
    if (row.extension !== null) {
      found.set(row.oid, { kind: 'extension', schema: row.schema, name: row.name, extension: row.extension, version: row.extensionVersion ?? '' });
      continue;
    }
    if (row.element !== 0) {
      await visit(client, [row.element], found, seen);
      continue;
    }
    await visit(client, await parts(client, row), found, seen);
    found.set(row.oid, await describe(client, row));
  }
}

async function parts(client: ClientBase, row: TypeRow): Promise<number[]> {
  if (row.kind === 'd') return [row.base];
  if (row.kind === 'c') return (await readJson<{ oid: number }>(client, 'SELECT atttypid::int8 AS oid FROM pg_attribute WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped', [row.relation])).map((part) => part.oid);
  if (row.kind === 'r') return (await readJson<{ oid: number }>(client, 'SELECT rngsubtype::int8 AS oid FROM pg_range WHERE rngtypid = $1', [row.oid])).map((part) => part.oid);
  if (row.kind === 'm') return (await readJson<{ oid: number }>(client, 'SELECT rngtypid::int8 AS oid FROM pg_range WHERE rngmultitypid = $1', [row.oid])).map((part) => part.oid);
  return [];
}

async function describe(client: ClientBase, row: TypeRow): Promise<RequiredType> {
  const { schema, name, oid } = row;
  switch (row.kind) {
    case 'e': {
      const labels = await readJson<{ label: string }>(client, 'SELECT enumlabel AS label FROM pg_enum WHERE enumtypid = $1 ORDER BY enumsortorder', [oid]);
      return { kind: 'enum', schema, name, labels: labels.map((each) => each.label) };
    }
    case 'd':
      return describeDomain(client, row);
    case 'c': {
      const fields = await readJson<{ name: string; type: string; collation: string | null }>(client, `
        SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type, ${explicitCollation('a.attcollation', 't.typcollation')} AS collation
          FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`, [row.relation]);
      return { kind: 'composite', schema, name, fields };
    }
    case 'r': {
      const subtype = await readJson<{ type: string }>(client, 'SELECT format_type(rngsubtype, NULL) AS type FROM pg_range WHERE rngtypid = $1', [oid]);
      return { kind: 'range', schema, name, subtype: subtype[0]?.type ?? '' };
    }
    default:
      return { kind: 'base', schema, name };
  }
}

async function describeDomain(client: ClientBase, row: TypeRow): Promise<RequiredType> {
  const domain = await readJson<{ base: string; notNull: boolean; default: string | null; collation: string | null }>(client, `
    SELECT format_type(d.typbasetype, d.typtypmod) AS base, d.typnotnull AS "notNull", d.typdefault AS default, ${explicitCollation('d.typcollation', 't.typcollation')} AS collation
      FROM pg_type d JOIN pg_type t ON t.oid = d.typbasetype WHERE d.oid = $1`, [row.oid]);
  const checks = await readJson<{ name: string; definition: string }>(client,
    "SELECT conname AS name, pg_get_constraintdef(oid) AS definition FROM pg_constraint WHERE contypid = $1 AND contype = 'c' ORDER BY conname", [row.oid]);
  const { base, notNull, default: expression, collation } = domain[0] ?? { base: 'text', notNull: false, default: null, collation: null };
  return { kind: 'domain', schema: row.schema, name: row.name, base, notNull, default: expression, collation, checks };
}

function explicitCollation(own: string, inherited: string): string {
  return `(SELECT quote_ident(n.nspname) || '.' || quote_ident(c.collname) FROM pg_collation c JOIN pg_namespace n ON n.oid = c.collnamespace WHERE c.oid = ${own} AND ${own} <> ${inherited})`;
}
