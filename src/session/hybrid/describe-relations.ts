/** What a side says of relations: their columns, and how many rows would have to be read. */
import { quoteLiteral, quoteTableName } from '../../../grammar/names.ts';
import type { TableName } from '../../../grammar/names.ts';
import type { Side } from '../../../catalog/routing-snapshot.ts';
import type { SessionCore } from '../session-core.ts';
import { fromRows } from './fetch-plan.ts';
import type { Fetch, MovedColumn, MovedRelation } from './fetch-plan.ts';

const MAX_KNOWN = 100;

type Row = readonly (string | null)[];

/** Collations of every column that has none of its own: none, the database's, and that of type name. */
const ordinaryCollations = '0, 100, 950';

/** Columns of these relations, in order; none for one that is not there. `withKeys`: where they stand in the primary key. Kept plain, as it is planned each time. */
export function columnsQuery(names: readonly TableName[], withKeys: boolean): string {
  return names.map((name, index) => {
    const relation = `pg_catalog.to_regclass(${quoteLiteral(quoteTableName(name))})`;
    const key = withKeys ? `(SELECT k.at - 1 FROM pg_catalog.pg_index i, pg_catalog.unnest(i.indkey::pg_catalog.int2[]) WITH ORDINALITY AS k(attnum, at) WHERE i.indrelid = a.attrelid AND i.indisprimary AND i.indimmediate AND k.attnum = a.attnum)::pg_catalog.text` : 'NULL';
    return `SELECT '${index}', a.attname::pg_catalog.text, pg_catalog.format_type(a.atttypid, a.atttypmod),
      CASE WHEN a.attcollation NOT IN (${ordinaryCollations}) THEN (SELECT pg_catalog.format('%s.%I', o.collnamespace::pg_catalog.regnamespace, o.collname) FROM pg_catalog.pg_collation o WHERE o.oid = a.attcollation) END,
      (a.attcollation <> 0)::pg_catalog.text, (a.atttypid >= 16384)::pg_catalog.text, ${key} FROM pg_catalog.pg_attribute a WHERE a.attrelid = ${relation} AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`;
  }).join('; ');
}

/**
 * What the columns queries of a session were answered last. Used at once, and asked for again behind the same bytes: when that says something else, the
 * work starts anew.
 */
export class KnownColumns {
  readonly #core: SessionCore;
  readonly #rows = new Map<string, readonly Row[]>();

  constructor(core: SessionCore) {
    this.#core = core;
  }

  /** In a block a wrong guess would be an error that fails it. */
  get(side: Side, sql: string): readonly Row[] | undefined {
    return this.#core.tx ? undefined : this.#rows.get(this.#key(side, sql));
  }

  set(side: Side, sql: string, rows: readonly Row[]): void {
    if (this.#rows.size >= MAX_KNOWN) this.#rows.clear();
    this.#rows.set(this.#key(side, sql), rows);
  }

  /** Names lead elsewhere with another search path. */
  #key(side: Side, sql: string): string {
    return `${side} ${this.#core.stateVersion} ${sql}`;
  }
}

export function readColumns(rows: readonly Row[], count: number): readonly (readonly MovedColumn[])[] {
  const columns: MovedColumn[][] = Array.from({ length: count }, () => []);
  for (const [n, name, type, collation, isCollated, isOwnType, keyAt] of rows) {
    columns[Number(n)]?.push({ name: name ?? '', type: type ?? '', collation: collation ?? undefined, isCollated: isCollated === 'true', isOwnType: isOwnType === 'true', keyAt: keyAt === null || keyAt === undefined ? undefined : Number(keyAt) });
  }
  return columns;
}

/** The planner's guess, one plan behind the other. */
export function estimateQuery(fetches: readonly Fetch[]): string {
  return fetches.map((fetch) => `EXPLAIN SELECT 1 ${fromRows(fetch)}`).join(';\n');
}

/** Rows of each fetch: the top line of each plan is the one that is not indented. */
export function readEstimates(rows: readonly Row[]): readonly number[] {
  return rows.flatMap(([line]) => {
    const found = line === null || line === undefined || line.startsWith(' ') ? null : / rows=(\d+) width=\d+\)/.exec(line);
    return found ? [Number(found[1])] : [];
  });
}

const fixedWidths: Readonly<Record<string, number>> = { boolean: 1, smallint: 3, integer: 6, bigint: 8, date: 10, uuid: 36, real: 8, 'double precision': 12, 'timestamp with time zone': 29, 'timestamp without time zone': 26 };

/** Bytes of a row as COPY writes it, roughly. */
export function rowWidth(columns: readonly MovedColumn[]): number {
  return columns.reduce((sum, { type }) => sum + 1 + (fixedWidths[type] ?? 24), 5);
}

/** Types whose text the other side may read as another value. */
export function unmovable({ columns }: MovedRelation): MovedColumn | undefined {
  return columns.find(({ type }) => type === 'money' || type === 'money[]');
}
