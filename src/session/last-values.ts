/**
 * currval over a change of sides (RULES 27): the value that a session drew last is known to the connection that drew it. When a sequence may have
 * been drawn on either side, both are asked, and the one that is farther along is right: a change of sides sets the sequence past the other's.
 */
import type { Side } from '../../catalog/routing-snapshot.ts';
import { quoteLiteral, quoteTableName } from '../../grammar/names.ts';
import type { RelationRef, TextFacts } from '../../grammar/sql/statement-facts.ts';
import type { InternalReply } from '../execute/segment.ts';
import type { Route } from '../route/route.ts';
import type { Verdict } from '../wire/framing.ts';
import type { Leg } from './leg.ts';
import type { SessionCore } from './session-core.ts';
import type { TextTraits } from './text-traits.ts';

type Row = readonly (string | null)[];

export class LastValues {
  readonly #core: SessionCore;
  /** Nothing has changed sides since this epoch, as far as the session can tell. */
  readonly #since: number;
  /** Of the message that has waited for it. */
  #answer: { readonly facts: TextFacts; readonly drawnOn: Side | undefined } | undefined;

  constructor(core: SessionCore) {
    this.#core = core;
    this.#since = core.services.view().snapshot.epoch;
  }

  /** Where a text that is routed so has to go instead; undefined when it may. A verdict: wait with it. */
  elsewhere({ facts, single }: TextTraits, route: Route): Route | Verdict | undefined {
    const core = this.#core;
    if (!single || single.sequencesRead.length === 0 || route.type !== 'leg' || core.services.view().snapshot.epoch === this.#since) return undefined;
    const side: Side = route.leg === 'local' ? 'local' : 'source';
    // What was never there has drawn nothing there; what it draws itself comes before it is asked.
    if ((side === 'source' && !core.local) || single.sequencesWritten.length > 0) return undefined;
    const known = this.#answer?.facts === facts ? this.#answer : undefined;
    this.#answer = undefined;
    if (!known) return core.leaveLeg(false) ?? this.#ask(facts, single.sequencesRead);
    if (known.drawnOn === undefined || known.drawnOn === side) return undefined;
    if (single.reads.length === 0 && single.writes.length === 0) return { type: 'leg', leg: known.drawnOn, writes: false, touches: [], after: 'none', before: 'none', label: known.drawnOn === 'local' ? 'LOCAL' : 'REMOTE' };
    return {
      type: 'refuse', code: 'MIG080', message: 'The last value of a sequence was drawn on the other side',
      detail: `Its table has changed sides since: ${single.sequencesRead.map(({ name }) => name).join(', ')}.`, hint: 'Read it by itself first (SELECT currval(…)), and send the value.',
    };
  }

  #ask(facts: TextFacts, sequences: readonly RelationRef[]): Verdict {
    const core = this.#core;
    const legs = [core.home, ...(core.local ? [core.local] : [])];
    const found: Partial<Record<Side, readonly Row[]>> = {};
    let open = legs.length;
    for (const leg of legs) {
      this.#probe(leg, sequences, ({ rows, error }) => {
        if (!error && rows.length > 0) found[leg.side] = rows;
        open -= 1;
        if (open > 0) return;
        this.#answer = { facts, drawnOn: fartherAlong(found) };
        core.proceed('state');
      });
    }
    return core.wait('state');
  }

  /** It is an error where the session has drawn nothing, which must not fail the client's block. */
  #probe(leg: Leg, sequences: readonly RelationRef[], answered: (reply: InternalReply) => void): void {
    const core = this.#core;
    const inBlock = core.tx?.begun[leg.side] === true;
    if (inBlock) core.ask(leg, 'SAVEPOINT causeway_value', () => undefined);
    core.ask(leg, sequences.map((sequence) => valueQuery(this.#nameOn(leg.side, sequence))).join(' UNION ALL '), inBlock ? (reply) => core.ask(leg, 'ROLLBACK TO SAVEPOINT causeway_value; RELEASE SAVEPOINT causeway_value', () => answered(reply)) : answered);
  }

  #nameOn(side: Side, sequence: RelationRef): string {
    const { services, searchPath, temporaryTables } = this.#core;
    const local = side === 'local' ? services.routes.localName(sequence, services.view().snapshot, { searchPath, temporaryTables }) : undefined;
    return quoteTableName(local ?? sequence);
  }
}

/** Of the sequence of that name, or of those that a table of that name owns (`pg_get_serial_sequence`). */
function valueQuery(name: string): string {
  const relation = `pg_catalog.to_regclass(${quoteLiteral(name)})`;
  return `SELECT pg_catalog.currval(s.seqrelid::pg_catalog.regclass)::pg_catalog.text, (s.seqincrement > 0)::pg_catalog.text FROM pg_catalog.pg_sequence s WHERE s.seqrelid = ${relation}
    OR EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = s.seqrelid AND d.refobjid = ${relation} AND d.deptype IN ('a', 'i'))`;
}

function fartherAlong({ source, local }: Partial<Record<Side, readonly Row[]>>): Side | undefined {
  if (!source || !local) return source ? 'source' : local && 'local';
  for (const [index, [value, ascends]] of source.entries()) {
    const [here, there] = [BigInt(value ?? 0), BigInt(local[index]?.[0] ?? 0)];
    if (here !== there) return (here > there) === (ascends === 'true') ? 'source' : 'local';
  }
  return undefined;
}
