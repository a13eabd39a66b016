/** What a barrier waits for in a session. */
import { mayHaveTouchedUnseen } from '../execute/may-have-touched-unseen.ts';
import type { OpenTransaction } from '../execute/open-transaction.ts';
import type { HoldingUnit } from './control-port.ts';
import type { Leg } from './leg.ts';
import type { MysqlSide } from './mysql-tables/mysql-side.ts';
import type { SharedRead } from './pool/shared-read.ts';
import type { SessionCore } from './session-core.ts';
import type { Unit } from './session-parts.ts';

/**
 * True while something is open that touched one of the tables under an epoch before this one, or that may have: what was sent
 * to the source under a snapshot that did not know the table is not on record.
 */
export function holdsTables(session: { readonly tx: OpenTransaction | undefined; readonly home: Leg; readonly local: Leg | undefined; readonly mysql?: MysqlSide | undefined; readonly unit?: Pick<Unit, 'onMysql'>; readonly sharing: { readonly read: SharedRead | undefined } | undefined }, tables: ReadonlySet<string>, epoch: number): boolean {
  const { tx, home, local, mysql } = session;
  const onMysql = session.unit?.onMysql;
  if (onMysql && onMysql.under.epoch < epoch && onMysql.touches.some((table) => tables.has(table))) return true;
  for (const unit of mysql?.units ?? []) if (unit.epoch < epoch && unit.touches.some((table) => tables.has(table))) return true;
  const read = session.sharing?.read;
  if (read && read.snapshot.epoch < epoch && (read.touches.some((table) => tables.has(table)) || (read.side === 'source' && mayHaveTouchedUnseen(read.snapshot, tables, epoch)))) return true;
  for (const [table, since] of tx?.routed ?? []) if (since.epoch < epoch && tables.has(table)) return true;
  if (tx?.begun.source && mayHaveTouchedUnseen(tx.snapshot, tables, epoch)) return true;
  for (const leg of [home, local]) {
    for (const segment of leg?.segments ?? []) {
      if (segment.epoch < epoch && segment.touches.some((table) => tables.has(table))) return true;
      if (leg === home && segment.snapshot && mayHaveTouchedUnseen(segment.snapshot, tables, epoch)) return true;
    }
  }
  return false;
}

/** What the operator is told of it. */
export function holdingUnit(session: SessionCore): HoldingUnit {
  const { tx, home, local, identity, lastStatement, sharing } = session;
  const nowMs = session.now();
  const startedAtMs = tx?.startedAtMs ?? home.segments[0]?.startedAtMs ?? local?.segments[0]?.startedAtMs ?? sharing?.read?.startedAtMs ?? nowMs;
  return {
    sessionId: identity.sessionId, user: identity.user, clientAddress: identity.address, backendPids: { source: home.pid, ...(local ? { local: local.pid } : {}) },
    openForMs: nowMs - startedAtMs, lastStatement: lastStatement,
  };
}
