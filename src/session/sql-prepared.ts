/** Statements of SQL's own PREPARE on the leg that is to run them. */
import { quoteName } from '../../grammar/names.ts';
import type { StatementFacts } from '../../grammar/sql/statement-facts.ts';
import { parameterTypes } from '../wire/bind-parameters.ts';
import type { ErrorFields } from '../wire/error-fields.ts';
import type { Verdict } from '../wire/framing.ts';
import { readParse, sync } from '../wire/frontend-messages.ts';
import { alreadyPrepared } from './client-error.ts';
import type { Leg } from './leg.ts';
import type { LocalNames } from './local-names.ts';
import { PooledPlaces } from './pool/pooled-statements.ts';
import { sideOf } from './prepared-statements.ts';
import type { PreparedStatement } from './prepared-statements.ts';
import type { SessionCore } from './session-core.ts';
import { executedBy } from './text-traits.ts';
import type { TextTraits } from './text-traits.ts';

export class SqlPrepared {
  readonly #core: SessionCore;
  readonly #names: LocalNames;

  constructor(core: SessionCore, names: LocalNames) {
    this.#core = core;
    this.#names = names;
  }

  /** What a text runs by its name is made on this leg, where it is not. A verdict: wait with it. */
  forText(traits: TextTraits, leg: Leg, simple: boolean): Verdict | undefined {
    for (const facts of traits.statements) {
      const name = executedBy(facts);
      const statement = name === undefined ? undefined : this.#core.statements.get(name);
      const stop = statement && (statement.on instanceof PooledPlaces ? this.#underOwnName(statement, statement.on, leg, simple) : this.ensure(statement, leg, simple));
      if (stop !== undefined) return stop;
    }
    return undefined;
  }

  /** On pooled connections the protocol's statements have other names than the client's. */
  #underOwnName(statement: PreparedStatement, on: PooledPlaces, leg: Leg, simple: boolean): Verdict | undefined {
    if (on.underOwnName[leg.side]) return undefined;
    const prepare = leg.side === 'source' ? undefined : prepareOf(statement);
    const stop = this.#make(statement, leg, prepare, simple);
    if (stop !== undefined) return stop;
    this.#core.carried?.tie('EXECUTE of a statement of the protocol');
    on.underOwnName[leg.side] = true;
    if (prepare === undefined && statement.origin.type === 'parse') leg.askRaw(Buffer.concat([statement.origin.message, sync]), this.#core.now());
    return undefined;
  }

  ensure(statement: PreparedStatement, leg: Leg, simple: boolean): Verdict | undefined {
    const prepare = statement.on[leg.side] || statement.name === '' ? undefined : prepareOf(statement);
    return prepare === undefined ? undefined : this.#make(statement, leg, prepare, simple);
  }

  /** Without a text nothing is sent, at a time at which it could be. */
  #make(statement: PreparedStatement, leg: Leg, prepare: string | undefined, simple: boolean): Verdict | undefined {
    const core = this.#core;
    // A query in the middle of a pipeline would end it.
    const stop = core.unit.segment ? core.leaveLeg(simple) : undefined;
    if (stop !== undefined) return stop;
    if (prepare === undefined) return undefined;
    const text = Buffer.from(prepare);
    const named = this.#names.textFor(leg, statement.traits, text, simple);
    if (typeof named === 'number') return named;
    statement.on[leg.side] = true;
    const isInTheWay = statement.shapeOn === leg.side;
    if (isInTheWay) statement.shapeOn = undefined;
    core.ask(leg, `${isInTheWay ? `DEALLOCATE ${quoteName(statement.name)}; ` : ''}${(named?.bytes ?? text).toString()}`, () => undefined);
    return undefined;
  }

  /** The error of a PREPARE whose name is taken where the server that gets it cannot see it. */
  taken(facts: StatementFacts | undefined, leg: Leg): ErrorFields | undefined {
    const name = facts?.kind === 'prepare' ? facts.objectName : undefined;
    const known = name === undefined ? undefined : this.#core.statements.get(name);
    if (!known || known.on[leg.side] || known.shapeOn === leg.side) return undefined;
    return alreadyPrepared(known.name);
  }

  /** A DEALLOCATE of what no server has: undefined for any other. */
  onNoLeg(facts: StatementFacts | undefined): PreparedStatement | undefined {
    const named = facts?.kind === 'deallocate' && facts.objectName !== undefined ? this.#core.statements.get(facts.objectName) : undefined;
    return named && sideOf(named) === undefined ? named : undefined;
  }
}

/** What PREPARE takes; a Parse takes all there is. */
const preparable: ReadonlySet<StatementFacts['kind']> = new Set(['select', 'insert', 'update', 'delete', 'merge']);

/** The text that makes it: SQL shares the names of what the protocol has parsed. Undefined when it is not known, or not for every side. */
export function prepareOf({ name, origin, traits }: PreparedStatement): string | undefined {
  if (origin.type === 'sql') return origin.text === '' ? undefined : origin.text;
  if (!traits.single || !preparable.has(traits.single.kind)) return undefined;
  const { message } = origin;
  const parts = readParse(message, 0, message.length);
  const types = parts && parameterTypes(message, parts.textEnd + 1);
  return parts && types && `PREPARE ${quoteName(name)}${types.length === 0 ? '' : ` (${types.join(', ')})`} AS ${message.toString('utf8', parts.textStart, parts.textEnd)}`;
}
