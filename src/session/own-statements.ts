/** Statements that the gateway itself has parsed on a leg for one unit; they are closed again when no portal of theirs can be left. */
import type { Side } from '../../catalog/routing-snapshot.ts';
import { closeStatement, sync } from '../wire/frontend-messages.ts';
import type { Leg } from './leg.ts';

export class OwnStatements {
  #count = 0;
  #parsed: { readonly on: Side; readonly name: string }[] = [];

  /** A new name for a statement on that side. */
  parsedOn(side: Side): string {
    this.#count += 1;
    const name = `causeway_own_${this.#count}`;
    this.#parsed.push({ on: side, name });
    return name;
  }

  /** Outside a block, when every answer is complete. */
  close(legOf: (side: Side) => Leg | undefined, nowMs: number): void {
    if (this.#parsed.length === 0) return;
    for (const side of ['source', 'local'] as const) {
      const names = this.#parsed.filter(({ on }) => on === side).map(({ name }) => name);
      const leg = legOf(side);
      if (names.length > 0 && leg && !leg.closed) leg.askRaw(Buffer.concat([...names.map(closeStatement), sync]), nowMs);
    }
    this.#parsed = [];
  }
}
