/**
 * Makes on local what hangs on migrated tables, looks at what is there, and takes away what was made.
 *
 * An object that is there already is never changed: it is accepted when it says the same, and reported when it does not. Each one is made in a
 * transaction of its own together with its row in `causeway.dependant`, which says what may be dropped again; so every function here may be
 * called again after a crash in its middle.
 */
import type { ClientBase } from 'pg';
import type { QualifiedName } from '../../catalog/routing-snapshot.ts';
import type { CarriedTable, Dependant } from './dependants.ts';
import { lineDiff } from './line-diff.ts';
import { quoteLiteral, quoteTable } from './quote.ts';
import { readJson, readServerVersion, withQualifiedNames } from './read-json.ts';

/**
 * `present`: local has it as the source has. `missing`: it could be made but is not. `waiting`: a table under it is not on local.
 * `refused`: it cannot be carried, or local refused it. `differs`: local has another one of the name.
 */
export type DependantStatus = 'present' | 'missing' | 'waiting' | 'refused' | 'differs';

export interface DependantState {
  readonly dependant: Dependant;
  readonly status: DependantStatus;
  /** For people; empty when present. */
  readonly reason: string;
  /** Grants and comments that local refused, with its words; and what else is worth knowing. */
  readonly notes: readonly string[];
}

export interface ReviewOptions {
  readonly sourceVersion: number;
  readonly tables: readonly CarriedTable[];
  /** Names on the source: the table's rows are on local; `anyName`: under whatever name, else under the same. */
  readonly isOnLocal: (table: QualifiedName, anyName: boolean) => boolean;
}

const LOCK_TIMEOUT_MS = 5_000;
const CHUNK = 40;

const registryDdl = `
CREATE SCHEMA IF NOT EXISTS causeway;
CREATE TABLE IF NOT EXISTS causeway.dependant (
  id bigserial PRIMARY KEY, kind text NOT NULL, name text NOT NULL, tables text[] NOT NULL, drop_sql text NOT NULL, before_table boolean NOT NULL, made_at timestamptz NOT NULL DEFAULT now(), UNIQUE (kind, name));`;

/** Changes nothing. */
export async function reviewDependants(local: ClientBase, dependants: readonly Dependant[], options: ReviewOptions): Promise<readonly DependantState[]> {
  const isSameMajor = Math.floor((await readServerVersion(local)) / 10000) === Math.floor(options.sourceVersion / 10000);
  const states: DependantState[] = [];
  for (let at = 0; at < dependants.length; at += CHUNK) {
    const chunk = dependants.slice(at, at + CHUNK);
    const probes = chunk.map((each) => (isSameMajor ? each.exact : each.loose ?? each.exact));
    const found = await withQualifiedNames(local, () => readJson<{ i: number; text: string | null }>(local, probes.map((probe, i) => `SELECT ${i} AS i, (${probe.sql}) AS text`).join(' UNION ALL ')));
    const texts = new Map(found.map((row) => [row.i, row.text]));
    chunk.forEach((dependant, i) => states.push(stateOf(dependant, probes[i]?.expected ?? '', texts.get(i) ?? null, options)));
  }
  return states;
}

function stateOf(dependant: Dependant, expected: string, found: string | null, options: ReviewOptions): DependantState {
  const state = (status: DependantStatus, reason: string): DependantState => ({ dependant, status, reason, notes: [] });
  const absent = dependant.under.filter((table) => !options.isOnLocal(table, dependant.relation !== undefined));
  // A view that is there over a table whose rows are not would show something else than the source's.
  const isReady = dependant.relation === undefined || absent.length === 0;
  if (found === expected && isReady) return state('present', '');
  if (found !== null && found !== expected) return state('differs', `local has another ${dependant.kind} of that name (- source, + local):\n${lineDiff(expected, found)}`);
  if (dependant.refused !== undefined) return state('refused', dependant.refused);
  if (absent.length === 0) return state('missing', 'it is not on local');
  return state('waiting', `it reads ${absent.map((table) => `${table.schema}.${table.name}`).join(', ')}, which local does not have under ${absent.length === 1 ? 'that name' : 'those names'}`);
}

/** Makes what is missing. Not inside a transaction. Throws for lost connections and locks that could not be had; never for what local refuses. */
export async function createDependants(local: ClientBase, dependants: readonly Dependant[], options: ReviewOptions): Promise<readonly DependantState[]> {
  await installRegistry(local);
  const states = [...(await reviewDependants(local, dependants, options))];
  await shareFunctions(local, states, options.tables);
  // What fails is tried again as long as others succeed: a function's text may need a view that comes later.
  for (let progress = true; progress;) {
    progress = false;
    for (const [index, { dependant, status }] of states.entries()) {
      const isOpen = status === 'missing' || (status === 'refused' && dependant.refused === undefined);
      if (!isOpen) continue;
      const made = await createOne(local, dependant, options.tables);
      states[index] = made;
      if (made.status === 'present') progress = true;
    }
    progress &&= states.some(({ dependant, status }) => status === 'refused' && dependant.refused === undefined);
  }
  return states;
}

async function createOne(local: ClientBase, dependant: Dependant, tables: readonly CarriedTable[]): Promise<DependantState> {
  const notes: string[] = [];
  await local.query('BEGIN');
  try {
    // Names are spelled out; the text of a function may name what local does not have yet.
    await local.query(`SET LOCAL search_path = pg_catalog; SET LOCAL check_function_bodies = off; SET LOCAL lock_timeout = ${LOCK_TIMEOUT_MS}`);
    for (const sql of dependant.create) await local.query(sql);
    for (const sql of dependant.extras) await optional(local, sql, notes);
    if (dependant.drop !== undefined) await register(local, dependant, tables);
    await local.query('COMMIT');
    return { dependant, status: 'present', reason: '', notes };
  } catch (error) {
    await local.query('ROLLBACK').catch(() => undefined);
    if (!isRefusal(error)) throw error;
    return { dependant, status: 'refused', reason: `local refuses it: ${error.message} (${error.code})`, notes };
  }
}

async function optional(local: ClientBase, sql: string, notes: string[]): Promise<void> {
  await local.query('SAVEPOINT extra');
  try {
    await local.query(sql);
    await local.query('RELEASE SAVEPOINT extra');
  } catch (error) {
    if (!isRefusal(error)) throw error;
    await local.query('ROLLBACK TO SAVEPOINT extra');
    notes.push(`${sql}: ${error.message}`);
  }
}

/** The statement's own fault, as opposed to a lock, a full disk or a lost connection, which pass. */
function isRefusal(error: unknown): error is Error & { code: string } {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && /^(0A|0L|2B|2[0-9]|3F|42|55000|P0)/.test(error.code);
}

async function installRegistry(local: ClientBase): Promise<void> {
  const there = await readJson<{ there: boolean }>(local, "SELECT to_regclass('causeway.dependant') IS NOT NULL AS there");
  if (there[0]?.there !== true) await local.query(registryDdl);
}

/** The tables' names on local, as `causeway.dependant` keeps them. */
function targetNames(names: readonly QualifiedName[], tables: readonly CarriedTable[]): string[] {
  return names.map((name) => quoteTable(tables.find((table) => table.source.schema === name.schema && table.source.name === name.name)?.target ?? name));
}

async function register(local: ClientBase, dependant: Dependant, tables: readonly CarriedTable[]): Promise<void> {
  const names = [...new Set(targetNames([...dependant.tables, ...dependant.under], tables))];
  // A function goes after the table that calls it, unless it is bound to the table itself.
  const isBefore = dependant.kind !== 'function' || dependant.under.length > 0;
  await local.query(`INSERT INTO causeway.dependant (kind, name, tables, drop_sql, before_table) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (kind, name) DO UPDATE SET tables = excluded.tables, drop_sql = excluded.drop_sql, before_table = excluded.before_table, made_at = now()`, [dependant.kind, dependant.name, names, dependant.drop, isBefore]);
}

/** A function made for one table that another now uses as well stays until both are gone. */
async function shareFunctions(local: ClientBase, states: readonly DependantState[], tables: readonly CarriedTable[]): Promise<void> {
  for (const { dependant, status } of states) {
    if (dependant.kind !== 'function' || status !== 'present') continue;
    await local.query(`UPDATE causeway.dependant SET tables = (SELECT array_agg(DISTINCT x) FROM unnest(tables || $2::text[]) x) WHERE kind = 'function' AND name = $1 AND NOT tables @> $2::text[]`, [dependant.name, targetNames(dependant.tables, tables)]);
  }
}

interface RegisteredRow {
  readonly id: number;
  readonly sql: string;
}

/** In the caller's transaction, before the table is dropped: views, rules and policies that were made here and stand on it. */
export async function dropDependantsOf(local: ClientBase, table: QualifiedName): Promise<void> {
  if (!(await hasRegistry(local))) return;
  const rows = await readJson<RegisteredRow>(local, `SELECT id, drop_sql AS sql FROM causeway.dependant WHERE before_table AND tables @> ARRAY[${quoteLiteral(quoteTable(table))}] ORDER BY id DESC`);
  for (const { id, sql } of rows) {
    await local.query(sql);
    await local.query('DELETE FROM causeway.dependant WHERE id = $1', [id]);
  }
}

/** In the same transaction, after it: functions that no other table needs. One that something else uses stays. */
export async function dropFunctionsOf(local: ClientBase, table: QualifiedName): Promise<void> {
  if (!(await hasRegistry(local))) return;
  await local.query('UPDATE causeway.dependant SET tables = array_remove(tables, $1) WHERE NOT before_table AND tables @> ARRAY[$1]', [quoteTable(table)]);
  for (const { id, sql } of await readJson<RegisteredRow>(local, "SELECT id, drop_sql AS sql FROM causeway.dependant WHERE NOT before_table AND tables = '{}' ORDER BY id DESC")) {
    await optional(local, sql, []);
    await local.query('DELETE FROM causeway.dependant WHERE id = $1', [id]);
  }
}

async function hasRegistry(local: ClientBase): Promise<boolean> {
  const there = await readJson<{ there: boolean }>(local, "SELECT to_regclass('causeway.dependant') IS NOT NULL AS there");
  return there[0]?.there === true;
}
