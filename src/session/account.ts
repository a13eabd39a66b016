/** Touches, waits and counters of a statement that goes to a leg now. */
import type { Segment } from '../execute/segment.ts';
import type { LegRoute } from '../route/route.ts';
import type { Leg } from './leg.ts';
import type { SessionCore } from './session-core.ts';

export function account(core: SessionCore, route: LegRoute, leg: Leg, segment: Segment, copiesIn: boolean): void {
  const { control } = core.services;
  for (const table of route.touches) control.countRoute(table, route.label);
  if (route.writes || route.draws) {
    core.lastWrite = leg.side;
    core.mysql?.numbers.legMayHaveDrawn();
  }
  const { snapshot } = core.services.view();
  const { epoch } = snapshot;
  if (core.tx) {
    core.tx.runs(leg.side, route, core.decidedUnder ?? snapshot);
    return;
  }
  core.unit.wrote ||= route.writes;
  segment.wrote ||= route.writes;
  segment.needsSide ||= route.leg !== 'home';
  segment.addTouches(route.touches, epoch);
  if (route.touches.length > 0) segment.touchedUnder = core.decidedUnder ?? snapshot;
  // In the middle of a COPY nothing can be asked.
  if (route.after !== 'none') segment.holdFor(copiesIn && route.after === 'xid' ? 'position' : route.after);
  if (segment.after === 'position') core.exclusive = true;
}
