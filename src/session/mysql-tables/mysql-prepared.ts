/**
 * SQL's PREPARE and EXECUTE of statements that write tables of the MySQL server: the gateway keeps the text, and translates what is inside. Once the table is on
 * local, the text makes the statement there (`session/sql-prepared.ts`).
 */
import { insideOfPrepare, valuesOfExecute } from '../../../grammar/dialect/mysql/sql-prepared.ts';
import type { MysqlRoute, HybridRoute } from '../../route/route.ts';
import { commandComplete } from '../../wire/backend-messages.ts';
import { CUT } from '../../wire/framing.ts';
import type { Verdict } from '../../wire/framing.ts';
import { alreadyPrepared, tooManyStatements } from '../client-error.ts';
import type { PreparedStatement } from '../prepared-statements.ts';
import type { SessionCore } from '../session-core.ts';
import type { TextTraits } from '../text-traits.ts';
import { notTranslated } from './mysql-statements.ts';
import type { MysqlStatements } from './mysql-statements.ts';

const writing: ReadonlySet<string> = new Set(['insert', 'update', 'delete']);

export class MysqlPrepared {
  readonly #core: SessionCore;
  readonly #statements: MysqlStatements;

  constructor(core: SessionCore, statements: MysqlStatements) {
    this.#core = core;
    this.#statements = statements;
  }

  /** Undefined: it is neither, or not of what writes there. */
  query(traits: TextTraits, route: MysqlRoute, text: Buffer, simple: boolean, later: (() => Verdict) | undefined): HybridRoute | Verdict | undefined {
    const { single } = traits;
    if (single?.objectName === undefined) return undefined;
    if (single.kind === 'prepare') return writing.has(single.inner?.kind ?? '') ? this.#prepare(single.objectName, traits, route, text.toString('utf8'), simple) : undefined;
    const statement = single.kind === 'execute' ? this.#core.statements.get(single.objectName) : undefined;
    return statement && writing.has(statement.traits.inner?.single?.kind ?? '') ? this.#execute(statement, route, text.toString('utf8'), simple, later) : undefined;
  }

  #prepare(name: string, traits: TextTraits, route: MysqlRoute, text: string, simple: boolean): Verdict {
    const core = this.#core;
    const prepared = this.#statements.prepare(route.touches, text, [], simple, true);
    if (typeof prepared === 'number') return prepared;
    if (core.statements.get(name)) return core.refuseWith(alreadyPrepared(name), simple);
    if (prepared.type === 'refused') return core.refuse(notTranslated(prepared.construct), simple);
    const isAdded = core.statements.add({ name, origin: { type: 'sql', text }, traits, sql: undefined, on: { source: false, local: false }, shapeOn: undefined, described: undefined });
    if (!isAdded) return core.refuse(tooManyStatements(core.statements.limitBytes), simple);
    // On local it will be of one connection.
    core.carried?.tie('prepare');
    core.toClient(commandComplete('PREPARE'));
    if (simple) core.ready();
    return CUT;
  }

  #execute({ name, origin }: PreparedStatement, route: MysqlRoute, text: string, simple: boolean, later: (() => Verdict) | undefined): HybridRoute | Verdict | undefined {
    // Of one that stood in a text among others nothing is kept.
    if (origin.type !== 'sql' || origin.text === '') return undefined;
    const core = this.#core;
    const prepared = this.#statements.prepare(route.touches, origin.text, [], simple, true);
    if (typeof prepared === 'number') return prepared;
    if (prepared.type === 'refused') return core.refuse(notTranslated(prepared.construct), simple);
    const inside = insideOfPrepare(core.services.mysql?.treeOf(origin.text));
    const found = inside.type === 'refused' ? inside : valuesOfExecute(core.services.mysql?.treeOf(text), prepared.plan, inside.parameterTypes);
    switch (found.type) {
      case 'wrong_count': return core.refuseWith({ severity: 'ERROR', sqlstate: '42601', message: `wrong number of parameters for prepared statement "${name}"` }, simple);
      case 'refused': return core.refuse(notTranslated(found.construct), simple);
      case 'values': return this.#statements.runPlan(route, prepared, found.values, simple, later);
      default: return found satisfies never;
    }
  }
}
