/** Who owes a write that both clusters were asked for, once neither is asked any more. */
import { BOTH } from './intents/intent-log.ts';
import { legStates } from './request.ts';
import type { Leg, Request } from './request.ts';
import { requestKinds } from './request-kinds.ts';

/** Both have it. */
export const NOBODY = 0;
/** Neither has it, and neither is to get it. */
export const NEVER = -1;

/** SOURCE | TARGET, NOBODY or NEVER. A shadow that was not asked is `unused`: then the primary alone says what has become of the write. */
export function owedAfterBoth(request: Request, primary: Leg, shadow: Leg): number {
  const shadowBit = 1 << shadow.cluster;
  const primaryIsWell = primary.state === legStates.ok;
  if (shadow.state === legStates.unused) {
    if (primaryIsWell && request.kind === requestKinds.conditional && primary.applied === false) return NEVER;
    // Its values would differ on the shadow, which gets them from a repair.
    if (request.isUnrepeatable && (primaryIsWell || primary.state === legStates.uncertain)) return shadowBit;
    return primary.state === legStates.uncertain ? BOTH : NEVER;
  }
  const shadowIsWell = shadow.state === legStates.ok;
  // The primary's word counts; the other's row is repaired.
  if (isOtherwise(request, primary, shadow)) return shadowBit;
  if (primaryIsWell && shadowIsWell) return NOBODY;
  if (primaryIsWell) return shadowBit;
  if (shadowIsWell) return 1 << primary.cluster;
  return primary.state === legStates.uncertain || shadow.state === legStates.uncertain ? BOTH : NEVER;
}

/** A condition was true on one cluster and false on the other. */
export function isOtherwise({ kind }: Request, primary: Leg, shadow: Leg): boolean {
  return kind === requestKinds.conditional && primary.state === legStates.ok && shadow.state === legStates.ok && primary.applied !== shadow.applied;
}
