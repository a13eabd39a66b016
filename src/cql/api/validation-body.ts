/** Bodies of the routes by which loader, validator and scanner speak with the proxy. */
import { z } from 'zod';
import { MigrationError } from '../../../config/migration-error.ts';
import type { RepairEntry } from '../intents/repair-list.ts';
import { clusterNames } from '../modes.ts';
import type { LoaderReport } from './monitor.ts';
import type { Verdict } from './validations.ts';

const MOST_TABLES = 10_000;
/** In one answer; there may be more. */
const MOST_SHOWN = 1000;
/** A scan renews it. */
const MOST_HELD_MS = 600_000;

const count = z.int().min(0);
const table = z.string().regex(/^[^.]+\..+$/, 'expected keyspace.table').max(200);
const verdict = z.strictObject({
  mode: z.string().min(1).max(100),
  /** `now_ms` of `GET /repairs`, asked for before the first row was read. */
  began_ms: z.number().min(0),
  tables: z.array(z.strictObject({ table, passed: z.boolean(), whole: z.boolean(), share: z.number().min(0).max(1).optional(), rows: count, different: count, summary: z.string().max(2000) })).max(MOST_TABLES),
});

const hold = z.strictObject({ tables: z.array(table).min(1).max(MOST_TABLES), for_ms: z.number().min(0).max(MOST_HELD_MS) });
const progress = z.strictObject({ share: z.number().min(0).max(1), rows: count, rows_per_second: z.number().min(0), remaining_ms: z.number().min(0).nullable(), tables_completed: count, tables: count, ended: z.boolean() });

/** Throws MIG071 with what is wrong in it. */
export function readVerdict(body: unknown): Verdict {
  const { mode, began_ms: beganMs, tables } = read(verdict, body, '/validation');
  return { mode, beganMs, tables: tables.map(({ table, passed, whole, share, rows, different, summary }) => ({ table, isGood: passed, isWhole: whole, share: share ?? (whole ? 1 : 0), rows, different, summary })) };
}

/** Throws MIG071 with what is wrong in it. */
export function readLoaderReport(body: unknown): LoaderReport {
  const { share, rows, rows_per_second: rowsPerSecond, remaining_ms: remainingMs, tables_completed: tablesDone, tables: tablesTotal, ended: hasEnded } = read(progress, body, '/loader/progress');
  return { share, rows, rowsPerSecond, remainingMs: remainingMs ?? undefined, tablesDone, tablesTotal, hasEnded };
}

/** Throws MIG071 with what is wrong in it. */
export function readHold(body: unknown): { readonly tables: readonly string[]; readonly forMs: number } {
  const { tables, for_ms: forMs } = read(hold, body, '/scan/hold');
  return { tables, forMs };
}

function read<T>(shape: z.ZodType<T>, body: unknown, route: string): T {
  const given = shape.safeParse(body);
  if (given.success) return given.data;
  const [first] = given.error.issues;
  throw new MigrationError('MIG071', `${first?.path.join('.') ?? ''}: ${first?.message ?? 'cannot be read'}`, { hint: `docs/cql-operations.md shows the body of ${route}.` });
}

/** Without the writes' values. */
export function repairsBody(entries: readonly RepairEntry[], isWhole: boolean, nowMs: number): Readonly<Record<string, unknown>> {
  return {
    now_ms: nowMs, total: entries.length, whole: isWhole,
    entries: entries.slice(0, MOST_SHOWN).map(({ atMs, notedAtMs, reason, owes, tables, texts, message, body }) => ({
      at_ms: atMs, noted_at_ms: notedAtMs ?? null, reason, owes: clusterNames.filter((_name, index) => (owes & (1 << index)) !== 0), tables, texts, message, whole_tables: body === '',
    })),
  };
}
