/**
 * SQL's EXECUTE and DEALLOCATE of statements that a client has prepared by the protocol. On pooled connections these have other names than the
 * client's.
 */
import { commandComplete } from '../../wire/backend-messages.ts';
import { CUT } from '../../wire/framing.ts';
import type { Verdict } from '../../wire/framing.ts';
import { sync } from '../../wire/frontend-messages.ts';
import type { Leg } from '../leg.ts';
import type { PreparedStatement } from '../prepared-statements.ts';
import type { SessionCore } from '../session-core.ts';
import type { TextTraits } from '../text-traits.ts';
import { PooledPlaces } from './pooled-statements.ts';

/** Gives the statement its own name on the connection, which is the session's from now on. False: there is no need for it. */
export function executeByName(core: SessionCore, { origin, on }: PreparedStatement, leg: Leg): boolean {
  if (!core.carried || origin.type !== 'parse' || !(on instanceof PooledPlaces)) return false;
  if (on.isUnderOwnName) return true;
  core.carried.tie('EXECUTE of a statement of the protocol');
  on.isUnderOwnName = true;
  leg.askRaw(Buffer.concat([origin.message, sync]), core.now());
  return true;
}

/** The verdict for a DEALLOCATE that no server can carry out; undefined for all others. */
export function deallocateByName(core: SessionCore, { single }: TextTraits): Verdict | undefined {
  const statement = single?.kind === 'deallocate' && single.objectName !== undefined ? core.statements.get(single.objectName) : undefined;
  if (!statement || core.status === 'E' || core.unit.segment || !(statement.on instanceof PooledPlaces) || statement.on.isUnderOwnName) return undefined;
  const stop = core.untilDrained();
  if (stop !== undefined) return stop;
  core.statements.remove(statement.name);
  core.toClient(commandComplete('DEALLOCATE'));
  core.ready();
  return CUT;
}
