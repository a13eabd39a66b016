/** The key of a loaded table on the target: replay needs it to find rows, and so does a load that goes on by key ranges. */
import type pg from 'pg';
import { MigrationError } from '../../config/migration-error.ts';
import { quoteIdent, quoteList, quoteTable } from '../postgres/quote.ts';
import type { TablePlan } from '../table-plan.ts';

interface SourceKey {
  readonly index_name: string;
  readonly constraint_name: string | null;
}

/** Builds the plan's key under the name it has on the source, unless a unique index over the same columns is there already. */
export async function buildKey(source: pg.Client, target: pg.Client, plan: TablePlan): Promise<void> {
  if (plan.keyKind === 'full' || (await hasKey(target, plan))) return;
  const statement = keyStatement(plan, await readSourceKey(source, plan));
  try {
    await target.query(statement);
  } catch (error) {
    // Someone else was building the same key and has finished it while this one waited for the table.
    if (await hasKey(target, plan)) return;
    throw error;
  }
  if (!(await hasKey(target, plan))) throw new MigrationError('MIG090', `The key of ${plan.tableId} was built but cannot be found`);
}

function keyStatement(plan: TablePlan, key: SourceKey | undefined): string {
  const columns = quoteList(plan.key);
  const table = quoteTable(plan.target);
  const constraint = key?.constraint_name ?? undefined;
  if (plan.keyKind === 'primary' || constraint !== undefined) {
    const named = constraint === undefined ? '' : `CONSTRAINT ${quoteIdent(constraint)} `;
    return `ALTER TABLE ${table} ADD ${named}${plan.keyKind === 'primary' ? 'PRIMARY KEY' : 'UNIQUE'} (${columns})`;
  }
  return `CREATE UNIQUE INDEX ${key ? quoteIdent(key.index_name) : ''} ON ${table} (${columns})`;
}

/** A valid, immediate, whole unique index over exactly these columns, in any order: what ON CONFLICT can name. */
async function hasKey(client: pg.Client, plan: TablePlan): Promise<boolean> {
  const result = await client.query<{ found: string }>(
    `SELECT count(*)::text AS found FROM pg_index i
     WHERE i.indrelid = $1::text::regclass AND i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL
       AND ${keyColumnsOf('i')} = (SELECT array_agg(c ORDER BY c) FROM unnest($2::text[]) c)`,
    [quoteTable(plan.target), [...plan.key]],
  );
  return Number(result.rows[0]?.found ?? 0) > 0;
}

async function readSourceKey(client: pg.Client, plan: TablePlan): Promise<SourceKey | undefined> {
  const result = await client.query<SourceKey>(
    `SELECT x.relname::text AS index_name, c.conname::text AS constraint_name
     FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid LEFT JOIN pg_constraint c ON c.conindid = i.indexrelid AND c.contype IN ('p', 'u')
     WHERE i.indrelid = $1::text::regclass AND i.indisunique AND i.indpred IS NULL AND i.indexprs IS NULL AND i.indisprimary = ($3::text = 'primary')
       AND ${keyColumnsOf('i')} = (SELECT array_agg(k ORDER BY k) FROM unnest($2::text[]) k)
     ORDER BY c.conname IS NULL, 1 LIMIT 1`,
    [quoteTable(plan.source), [...plan.key], plan.keyKind],
  );
  return result.rows[0];
}

/** Sorted names of an index's key columns; INCLUDE columns (from PostgreSQL 11) stand behind the first `indnkeyatts`. */
function keyColumnsOf(index: string): string {
  return `(SELECT array_agg(a.attname::text ORDER BY a.attname::text COLLATE "default") FROM pg_attribute a
    WHERE a.attrelid = ${index}.indrelid AND a.attnum = ANY ((string_to_array(${index}.indkey::text, ' ')::int2[])[1:coalesce((to_jsonb(${index}) ->> 'indnkeyatts')::int, ${index}.indnatts)]))`;
}
