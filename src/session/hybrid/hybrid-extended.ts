/**
 * Hybrid statements in the extended protocol. A Parse is answered by the gateway; a server gets the statement with each Bind, under a name of
 * the gateway's own, as it stands with the rows that it needs then. What a Describe asks for is found out with no rows.
 */
import { readBind } from '../../wire/bind-parameters.ts';
import { CUT } from '../../wire/framing.ts';
import type { Verdict } from '../../wire/framing.ts';
import { bindTo, describeStatement, parseAs, parseNamed, readParse } from '../../wire/frontend-messages.ts';
import type { ParseParts } from '../../wire/frontend-messages.ts';
import { account } from '../account.ts';
import type { Leg } from '../leg.ts';
import { typesForLeg } from '../parse-for-leg.ts';
import type { PlaceStatement } from '../place-statement.ts';
import { boundTraits } from '../prepared-statements.ts';
import type { PreparedStatement } from '../prepared-statements.ts';
import type { SessionCore } from '../session-core.ts';
import { requestOf } from './hybrid-statement.ts';
import type { HybridStatements } from './hybrid-statement.ts';
import type { HybridReady, HybridRoute } from './hybrid-work.ts';

export class HybridExtended {
  readonly #core: SessionCore;
  readonly #flows: { readonly place: PlaceStatement; readonly hybrid: HybridStatements };

  constructor(core: SessionCore, flows: { readonly place: PlaceStatement; readonly hybrid: HybridStatements }) {
    this.#core = core;
    this.#flows = flows;
  }

  /** `bound` is called with the leg once the Bind can no longer be refused here. */
  bind(route: HybridRoute, statement: PreparedStatement, buffer: Buffer, start: number, length: number, bound: (leg: Leg) => void): Verdict {
    const message = buffer.subarray(start, start + length);
    return this.#run(route, statement, message, false, (leg, name) => {
      bound(leg);
      return bindTo(message, 0, length, name);
    });
  }

  /** `described` as `bound`. */
  describe(route: HybridRoute, statement: PreparedStatement, described: (leg: Leg) => void): Verdict {
    return this.#run(route, statement, undefined, true, (leg, name) => {
      described(leg);
      return describeStatement(name);
    });
  }

  #run(route: HybridRoute, statement: PreparedStatement, bind: Buffer | undefined, isShape: boolean, message: (leg: Leg, name: string) => Buffer): Verdict {
    const core = this.#core;
    const { hybrid, place } = this.#flows;
    const { origin } = statement;
    const traits = boundTraits(statement);
    const parts = origin.type === 'parse' ? readParse(origin.message, 0, origin.message.length) : undefined;
    const text = origin.type === 'sql' ? Buffer.from(origin.text) : origin.message.subarray(parts?.textStart, parts?.textEnd);
    const request = origin.type === 'sql' ? { text, runs: { name: statement.name, text: undefined } } : requestOf(core, traits, text);
    if (!request || text.length === 0) return place.place(route, false, !isShape).verdict ?? CUT;
    const parameters = bind && origin.type === 'parse' && parts ? readBind(bind, origin.message, parts.textEnd + 1) : undefined;
    const ready = hybrid.prepare(route, { ...request, simple: false, parameters, isShape: isShape || traits.single?.kind === 'prepare' });
    if (typeof ready === 'number') return ready;
    const placement = place.place(ready.way.route, false, !isShape);
    if (placement.verdict !== undefined) return placement.verdict;
    const { leg } = placement;
    const named = this.#parsed(leg, ready, origin, parts);
    if (typeof named === 'number') return named;
    if (!isShape) account(core, placement.route, leg, core.unitSegment(leg), traits.hasCopyFrom);
    core.send(leg, message(leg, named));
    hybrid.sent(ready);
    return CUT;
  }

  /** The name under which the leg has the statement with its rows. */
  #parsed(leg: Leg, { text, statement }: HybridReady, origin: PreparedStatement['origin'], parts: ParseParts | undefined): string | Verdict {
    const core = this.#core;
    if (origin.type === 'sql' || !parts) {
      core.unitSegment(leg);
      return statement ?? '';
    }
    const unnamed = parseAs(origin.message, parts, '', text.bytes);
    const typed = typesForLeg(core, leg, unnamed, origin.message.length - parts.textEnd, true);
    if (typeof typed === 'number') return typed;
    const segment = core.unitSegment(leg);
    const name = core.ownStatements.parsedOn(leg.side);
    segment.injectParse();
    core.sendRenamed(leg, segment, text, parseNamed(typed ?? unnamed, name));
    return name;
  }
}
