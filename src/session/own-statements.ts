/** Statements that the gateway itself has parsed on a leg for one unit; they are closed again when no portal of theirs can be left. */
import type { Side } from '../../catalog/routing-snapshot.ts';
import { closeStatement, sync } from '../wire/frontend-messages.ts';
import type { Backend } from './backend.ts';
import type { Leg } from './leg.ts';

/** Of the process: sessions may share connections. */
let count = 0;

export class OwnStatements {
  readonly #legOf: (side: Side) => Leg | undefined;
  #parsed: { readonly on: Side; readonly backend: Backend | undefined; readonly name: string }[] = [];

  constructor(legOf: (side: Side) => Leg | undefined) {
    this.#legOf = legOf;
  }

  /** A new name for a statement on that side. */
  parsedOn(side: Side): string {
    count += 1;
    const name = `causeway_own_${count}`;
    this.#parsed.push({ on: side, backend: this.#legOf(side)?.backend, name });
    return name;
  }

  /** Outside a block, when every answer is complete. */
  close(nowMs: number): void {
    if (this.#parsed.length === 0) return;
    const parsed = this.#parsed;
    this.#parsed = [];
    for (const side of ['source', 'local'] as const) {
      const leg = this.#legOf(side);
      const ofSide = parsed.filter(({ on }) => on === side);
      const here = ofSide.filter(({ backend }) => backend === undefined || backend === leg?.backend);
      // A pooled connection that has gone back keeps them until it is closed for having many.
      for (const { backend, name } of ofSide) if (backend !== leg?.backend) backend?.prepared.add(name);
      if (here.length > 0 && leg?.backend && !leg.closed) leg.askRaw(Buffer.concat([...here.map(({ name }) => closeStatement(name)), sync]), nowMs);
    }
  }
}
