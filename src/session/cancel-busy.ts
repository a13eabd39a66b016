/** Cancels what runs on these legs; `done` once every server has been told. */
import type { Leg } from './leg.ts';

export function cancelBusy(legs: readonly (Leg | undefined)[], done: () => void): void {
  const busy = legs.filter((leg): leg is Leg => leg !== undefined && !leg.idle);
  let open = busy.length;
  if (open === 0) done();
  for (const leg of busy) {
    leg.cancel(() => {
      open -= 1;
      if (open === 0) done();
    });
  }
}
