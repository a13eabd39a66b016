/** Snapshots and sessions for tests of routing: one table per state, with the sides that the control gives it. */
import { emptySnapshot } from '../../catalog/routing-snapshot.ts';
import type { RoutingSnapshot, TableRoute } from '../../catalog/routing-snapshot.ts';
import type { Route, SessionContext, TransactionContext } from '../../src/route/route.ts';

/** A column of docs/routing.md. */
export type StateColumn = 'NOT_STARTED' | 'BULK_LOADING' | 'BULK_LOADING (block)' | 'SYNCHRONIZING' | 'DUAL_WRITE' | 'DUAL_WRITE (async)' | 'CUTOVER_READY' | 'quiescing' | 'LOCAL_ONLY' | 'ROLLBACK' | 'PAUSED' | 'ERROR';

const sourceOnly = { reads: 'source', writes: 'source', waitVisible: false, trackWrites: false, writesBlocked: false, ddlBlocked: true, quiescing: false } as const;
const followed = { ...sourceOnly, reads: 'local', waitVisible: true } as const;

type Sides = Pick<TableRoute, 'state' | keyof typeof sourceOnly>;

export const sidesByState: Readonly<Record<StateColumn, Sides>> = {
  NOT_STARTED: { ...sourceOnly, state: 'NOT_STARTED', ddlBlocked: false },
  BULK_LOADING: { ...sourceOnly, state: 'BULK_LOADING' },
  'BULK_LOADING (block)': { ...sourceOnly, state: 'BULK_LOADING', writesBlocked: true },
  SYNCHRONIZING: { ...sourceOnly, state: 'SYNCHRONIZING' },
  DUAL_WRITE: { ...followed, state: 'DUAL_WRITE' },
  'DUAL_WRITE (async)': { ...followed, state: 'DUAL_WRITE', waitVisible: false, trackWrites: true },
  CUTOVER_READY: { ...followed, state: 'CUTOVER_READY' },
  quiescing: { ...followed, state: 'CUTOVER_READY', quiescing: true },
  LOCAL_ONLY: { ...sourceOnly, state: 'LOCAL_ONLY', reads: 'local', writes: 'local', ddlBlocked: false },
  ROLLBACK: { ...sourceOnly, state: 'ROLLBACK' },
  PAUSED: { ...sourceOnly, state: 'PAUSED' },
  ERROR: { ...sourceOnly, state: 'ERROR' },
};

export function tableRoute(name: string, sides: Sides): TableRoute {
  return { tableId: name, source: { schema: 'public', name }, local: { schema: 'public', name }, ...sides };
}

/**
 * `t` in the given state; beside it `plain` (not migrated), `moved` (LOCAL_ONLY), the view `t_view` and the sequence `t_id_seq` of `t`, and `audited`, a
 * table that is not migrated and whose trigger writes `t`.
 */
export function snapshotWith(sides: Sides): RoutingSnapshot {
  return {
    ...emptySnapshot, epoch: 7,
    tables: { 'public.t': tableRoute('t', sides), 'public.moved': tableRoute('moved', sidesByState.LOCAL_ONLY) },
    views: { 'public.t_view': ['public.t'] },
    sequences: { 'public.t_id_seq': 'public.t' },
    writeClosure: { 'public.audited': ['public.t'] },
    shadows: ['public.plain', 'public.audited', 'other.t'],
  };
}

export const autocommit: SessionContext = { searchPath: ['public'], temporaryTables: new Map(), transaction: undefined, leaseValid: true };

export function inTransaction(transaction: Partial<TransactionContext> = {}): SessionContext {
  return { ...autocommit, transaction: { isolation: 'read committed', readOnly: false, wroteOn: undefined, usedLegs: { source: false, local: false }, holdsLocks: false, ...transaction } };
}

/** How docs/routing.md writes a route. */
export function routeWord(route: Route): string {
  switch (route.type) {
    case 'leg': return [route.leg, route.after === 'none' ? '' : route.after, route.before === 'none' ? '' : 'index'].filter((part) => part !== '').join(' + ');
    case 'park': return 'park';
    case 'hybrid': return `hybrid ${route.ways.map((way) => routeWord(way.route)).join(' / ')}`;
    case 'refuse': return route.code;
    case 'mysql': return 'mysql';
    case 'control': case 'both_legs': case 'transaction_control': return route.type;
    default: return route satisfies never;
  }
}
