/**
 * On which side a statement runs that could run on both: where what its columns are made of is known, where there may be a table for its rows, and
 * to which fewer bytes have to go.
 */
import type { Side } from '../../../catalog/routing-snapshot.ts';
import { quoteLiteral } from '../../../grammar/names.ts';
import type { InternalReply } from '../../execute/segment.ts';
import type { HybridWay } from '../../route/route.ts';
import type { SessionCore } from '../session-core.ts';
import { estimateQuery, readEstimates, rowWidth } from './describe-relations.ts';
import type { Fetch } from './fetch-plan.ts';

export interface Plan {
  readonly way: HybridWay;
  fetches: readonly Fetch[];
  /** Rows of each fetch, guessed; undefined where nothing depends on it. */
  rows: readonly number[] | undefined;
}

/** Of a MySQL server's table, which is not asked: enough for its keys to be looked up first. */
const UNKNOWN_ROWS = 1_000_000;

export type AskSide = (side: Side, sql: string) => Promise<InternalReply>;

/** Whether the session may make temporary tables on a side. A role that it takes on may be allowed less. */
export class TemporaryTables {
  readonly #core: SessionCore;
  readonly #known = new Map<Side, { readonly version: number; readonly allowed: boolean }>();

  constructor(core: SessionCore) {
    this.#core = core;
  }

  async allowed(side: Side, ask: AskSide): Promise<boolean> {
    const version = this.#core.stateVersion;
    const known = this.#known.get(side);
    if (known?.version === version) return known.allowed;
    const { rows } = await ask(side, "SELECT pg_catalog.has_database_privilege(pg_catalog.current_database(), 'TEMPORARY')::pg_catalog.text");
    const allowed = rows[0]?.[0] === 'true';
    this.#known.set(side, { version, allowed });
    return allowed;
  }
}

/** `weighs`: how many rows each would bring matters to the choice, or to what is brought. */
export async function chooseWay(core: SessionCore, plans: readonly Plan[], ask: AskSide, temporary: TemporaryTables, weighs: boolean): Promise<{ readonly plan: Plan; readonly mayHaveTable: boolean }> {
  const looked = await Promise.all(plans.map(async (plan) => {
    const [hasTypes, mayHaveTable] = await Promise.all([plans.length === 1 || knowsTypes(plan, ask), temporary.allowed(plan.way.runOn, ask), weighs ? estimate(plan, ask) : undefined]);
    return { plan, hasTypes, mayHaveTable };
  }));
  const possible = looked.some(({ hasTypes }) => hasTypes) ? looked.filter(({ hasTypes }) => hasTypes) : looked;
  const cheapest = possible.toSorted((a, b) => bytesOf(a.plan) - bytesOf(b.plan));
  // In a block, tables are kept on one side: a side that has them cannot be prepared (RULES 23).
  const kept = cheapest.find(({ plan }) => core.tx?.temporaryOn[plan.way.runOn]);
  const fits = cheapest.find(({ plan, mayHaveTable }) => mayHaveTable || bytesOf(plan) <= core.services.limits.maxInlineBytes);
  const chosen = kept ?? fits ?? cheapest[0];
  if (!chosen) throw new Error('a hybrid route without a way');
  return chosen;
}

function bytesOf({ fetches, rows }: Plan): number {
  return fetches.reduce((sum, { columns }, index) => sum + (rows?.[index] ?? 0) * rowWidth(columns), 0);
}

async function knowsTypes({ way, fetches }: Plan, ask: AskSide): Promise<boolean> {
  const types = new Set(fetches.flatMap(({ columns }) => columns.flatMap(({ type, isOwnType }) => (isOwnType ? [type] : []))));
  if (types.size === 0) return true;
  const { rows } = await ask(way.runOn, `SELECT (${[...types].map((type) => `pg_catalog.to_regtype(${quoteLiteral(type)}) IS NOT NULL`).join(' AND ')})::pg_catalog.text`);
  return rows[0]?.[0] === 'true';
}

async function estimate(plan: Plan, ask: AskSide): Promise<void> {
  const asked = plan.fetches.filter(({ relation }) => !relation.mysql);
  const { rows } = asked.length === 0 ? { rows: [] } : await ask(plan.way.runOn === 'source' ? 'local' : 'source', estimateQuery(asked));
  const guessed = readEstimates(rows);
  if (guessed.length === asked.length) plan.rows = [...guessed, ...plan.fetches.slice(asked.length).map(() => UNKNOWN_ROWS)];
}
