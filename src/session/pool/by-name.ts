/**
 * SQL's EXECUTE and DEALLOCATE of statements that a client has prepared by the protocol. On pooled connections these have other names than the
 * client's; one that is executed by its name is made under that, too, on the session's connection, which is its own from then on.
 */
import { quoteName } from '../../../grammar/names.ts';
import { commandComplete } from '../../wire/backend-messages.ts';
import { CUT } from '../../wire/framing.ts';
import type { Verdict } from '../../wire/framing.ts';
import type { SessionCore } from '../session-core.ts';
import type { TextTraits } from '../text-traits.ts';
import { PooledPlaces } from './pooled-statements.ts';

/** The verdict for a DEALLOCATE that the gateway answers; undefined for all others. */
export function deallocateByName(core: SessionCore, { single }: TextTraits): Verdict | undefined {
  const statement = single?.kind === 'deallocate' && single.objectName !== undefined ? core.statements.get(single.objectName) : undefined;
  if (!statement || core.status === 'E' || core.unit.segment || !(statement.on instanceof PooledPlaces)) return undefined;
  const stop = core.untilDrained();
  if (stop !== undefined) return stop;
  for (const side of ['source', 'local'] as const) {
    const leg = core.leg(side);
    if (leg && statement.on.underOwnName[side]) core.ask(leg, `DEALLOCATE ${quoteName(statement.name)}`, () => undefined);
  }
  core.statements.remove(statement.name);
  core.toClient(commandComplete('DEALLOCATE'));
  core.ready();
  return CUT;
}
