/**
 * Statements over tables of the MySQL server in the extended protocol: Parse is answered by the gateway, Describe from the translation; a Bind makes a portal
 * at the gateway. A pipeline that writes there is a block that its Sync ends, as one over two legs is.
 */
import type { Slot } from '../../../grammar/dialect/mysql/translation.ts';
import { MigrationError } from '../../../config/migration-error.ts';
import { OpenTransaction } from '../../execute/open-transaction.ts';
import type { HybridRoute, MysqlRoute } from '../../route/route.ts';
import { bindComplete, commandComplete, noData } from '../../wire/backend-messages.ts';
import { arrayOf, TypeOid, textOfBinary } from '../../wire/binary-text.ts';
import { bindParts, readBind } from '../../wire/bind-parameters.ts';
import { CUT } from '../../wire/framing.ts';
import type { Verdict } from '../../wire/framing.ts';
import { readParse } from '../../wire/frontend-messages.ts';
import { message } from '../../wire/message.ts';
import { transactionAborted } from '../client-error.ts';
import { declaredTypes } from '../local-values.ts';
import type { PreparedStatement } from '../prepared-statements.ts';
import type { SessionCore } from '../session-core.ts';
import { commitsItself, notTranslated, tagOf } from './mysql-statements.ts';
import type { MysqlPortal, PreparedPlan, RunOutcome } from './mysql-portal.ts';
import type { MysqlStatements, Prepared } from './mysql-statements.ts';
import { PlanRun } from './plan-run.ts';
import { describeColumns, describeParameters, oidOf, spellingOf } from './result-columns.ts';

const portalSuspended = message('s');

export class MysqlExtended {
  readonly #core: SessionCore;
  readonly #statements: MysqlStatements;

  constructor(core: SessionCore, statements: MysqlStatements) {
    this.#core = core;
    this.#statements = statements;
  }

  /** Of a statement. A route: the translation refuses it, and it is described there. */
  describe(route: MysqlRoute, statement: PreparedStatement): HybridRoute | Verdict {
    const core = this.#core;
    const prepared = this.#prepare(route, statement);
    if (typeof prepared === 'number') return prepared;
    if (prepared.type === 'refused') return route.otherwise ?? core.refuse(notTranslated(prepared.construct), false);
    core.toClient(Buffer.concat([describeParameters(parameterNumbers(statement, prepared)), columnsOf(prepared, [])]));
    return CUT;
  }

  /** `bound` gets what is to be run when the portal is executed. */
  bind(route: MysqlRoute, statement: PreparedStatement, bytes: Buffer, bound: (portal: MysqlPortal) => void): HybridRoute | Verdict {
    const core = this.#core;
    const prepared = this.#prepare(route, statement);
    if (typeof prepared === 'number') return prepared;
    if (prepared.type === 'refused') return route.otherwise ?? core.refuse(notTranslated(prepared.construct), false);
    const parameters = parametersOf(bytes, statement, parameterNumbers(statement, prepared));
    if (!parameters) return route.otherwise ?? core.refuse(notTranslated('a parameter in a binary form that is not known here'), false);
    const formats = resultFormats(bytes);
    const request = this.#statements.request(prepared, parameters, formats);
    const refused = this.#statements.refusedValues(request);
    if (refused !== undefined) return route.otherwise ?? core.refuse(notTranslated(refused), false);
    // From here on a barrier over its tables waits for the unit.
    const under = core.decidedUnder ?? core.services.view().snapshot;
    if (core.tx) core.tx.runsOnMysql(route, under);
    else core.unit.onMysql = { touches: [...(core.unit.onMysql?.touches ?? []), ...route.touches], under: core.unit.onMysql?.under ?? under };
    bound({ route, prepared, request, formats, run: undefined, isOver: false });
    core.toClient(bindComplete);
    return CUT;
  }

  describePortal({ prepared, formats }: MysqlPortal): Verdict {
    this.#core.toClient(columnsOf(prepared, formats));
    return CUT;
  }

  execute(portal: MysqlPortal, maxRows: number, endsUnit: boolean): Verdict {
    const core = this.#core;
    const stop = core.leaveLeg(false);
    if (stop !== undefined) return stop;
    if (core.tx?.failedOn !== undefined) return core.refuseWith(transactionAborted, false);
    const { route, prepared, request } = portal;
    if (portal.isOver) {
      core.toClient(commandComplete(tagOf(prepared.plan, { type: 'done', count: 0, lastInsertId: 0 })));
      return CUT;
    }
    if (prepared.plan.commits && (core.tx || !endsUnit)) return core.refuse(notTranslated(commitsItself(prepared.plan)), false);
    // With nothing behind it, and nothing that it wrote before, it can commit by itself.
    if (route.writes && !core.tx && !endsUnit) this.#openImplicitBlock(route);
    return core.answerLater((done) => {
      const { run } = portal;
      const started = run ?? (portal.run = new PlanRun(core, this.#statements.side, request));
      this.#statements.run(route, started, (ended) => (run ? started.goOn(maxRows, ended) : started.start(maxRows, ended)), (outcome) => {
        this.#answer(portal, outcome);
        done();
      });
    });
  }

  close(portal: MysqlPortal): void {
    portal.run?.drop();
  }

  #answer(portal: MysqlPortal, outcome: RunOutcome): void {
    const core = this.#core;
    if (outcome.type === 'suspended') return core.toClient(portalSuspended);
    portal.isOver = true;
    if (outcome.type === 'failed') this.#statements.failed(outcome.fields, true);
    else core.toClient(commandComplete(tagOf(portal.prepared.plan, outcome)));
  }

  #openImplicitBlock(route: MysqlRoute): void {
    const core = this.#core;
    const under = core.unit.onMysql?.under ?? core.services.view().snapshot;
    const tx = new OpenTransaction(under, core.now(), 'BEGIN', undefined);
    tx.isImplicit = true;
    tx.runsOnMysql(route, under);
    core.tx = tx;
  }

  #prepare(route: MysqlRoute, statement: PreparedStatement): Prepared | Verdict {
    return this.#statements.prepare(route.touches, textOf(statement), declaredTypes(statement).map(spellingOf), false);
  }
}

function textOf({ origin }: PreparedStatement): string {
  if (origin.type === 'sql') return origin.text;
  const parts = readParse(origin.message, 0, origin.message.length);
  return origin.message.toString('utf8', parts?.textStart, parts?.textEnd);
}

function columnsOf({ plan, numbers }: PreparedPlan, formats: readonly number[]): Buffer {
  return plan.columns.length === 0 ? noData : describeColumns(plan.columns, numbers, plan.columns.map((_, index) => (formats.length === 1 ? formats[0] ?? 0 : formats[index] ?? 0)));
}

/** What the client has declared, else what the statement uses them as. */
function parameterNumbers(statement: PreparedStatement, { plan }: PreparedPlan): readonly number[] {
  const declared = declaredTypes(statement);
  const slots = plan.steps[0]?.slots ?? [];
  const largest = Math.max(0, ...slots.map((slot) => ('number' in slot ? slot.number : 0)));
  return Array.from({ length: Math.max(declared.length, plan.parameterTypes.length, largest) }, (_, index) => {
    const type = plan.parameterTypes[index];
    return declared[index] || (type === undefined ? placeNumber(slots, index + 1) : oidOf(type, () => undefined));
  });
}

/** Of a parameter whose type is that of its place. */
function placeNumber(slots: readonly Slot[], number: number): number {
  const slot = slots.find((each) => 'number' in each && each.number === number);
  if (slot?.kind === 'limit' || slot?.kind === 'offset') return TypeOid.int8;
  return slot?.kind === 'elements' ? arrayOf(oidOf(slot.type, () => undefined)) : TypeOid.text;
}

/** As text; undefined when one has a form that is not known here. */
function parametersOf(bind: Buffer, { origin }: PreparedStatement, numbers: readonly number[]): readonly (string | null)[] | undefined {
  const parts = origin.type === 'parse' ? readParse(origin.message, 0, origin.message.length) : undefined;
  const bound = origin.type === 'parse' && parts ? readBind(bind, origin.message, parts.textEnd + 1) : undefined;
  if (!bound) throw new MigrationError('MIG090', 'a Bind that cannot be read');
  const values: (string | null)[] = [];
  for (const [index, { value, isBinary }] of bound.entries()) {
    const text = value === undefined ? null : isBinary ? textOfBinary(numbers[index] ?? TypeOid.text, value) : value.toString('utf8');
    if (text === undefined) return undefined;
    values.push(text);
  }
  return values;
}

function resultFormats(bind: Buffer): readonly number[] {
  const at = bindParts(bind, 0, bind.length)?.resultFormatsAt;
  return at === undefined ? [] : Array.from({ length: bind.readUInt16BE(at) }, (_, index) => bind.readUInt16BE(at + 2 + 2 * index));
}
