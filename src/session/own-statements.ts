/** Statements that the gateway itself has parsed on a leg for one unit; they are closed again when no portal of theirs can be left. */
import { closeStatement, sync } from '../wire/frontend-messages.ts';
import type { Backend } from './backend.ts';
import type { Leg } from './leg.ts';

export class OwnStatements {
  #parsed: { readonly leg: Leg; readonly backend: Backend | undefined; readonly name: string }[] = [];

  /** A new name for a statement on that leg's connection. */
  parsedOn(leg: Leg): string {
    const { backend } = leg;
    const name = `causeway_own_${backend?.newOwnName() ?? 0}`;
    this.#parsed.push({ leg, backend, name });
    return name;
  }

  /** Outside a block, when every answer is complete. */
  close(nowMs: number): void {
    if (this.#parsed.length === 0) return;
    const parsed = this.#parsed;
    this.#parsed = [];
    for (const leg of new Set(parsed.map((each) => each.leg))) {
      const ofLeg = parsed.filter((each) => each.leg === leg);
      const here = ofLeg.filter(({ backend }) => backend !== undefined && backend === leg.backend);
      // A pooled connection that has gone back keeps them until it is closed for having many.
      for (const { backend, name } of ofLeg) if (backend !== leg.backend) backend?.prepared.add(name);
      if (here.length > 0 && !leg.closed) leg.askRaw(Buffer.concat([...here.map(({ name }) => closeStatement(name)), sync]), nowMs);
    }
  }
}
