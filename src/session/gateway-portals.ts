/** Portals by name, and those whose rows the gateway itself gives: migration statements, the catalog, transaction control over legs. */
import type { Side } from '../../catalog/routing-snapshot.ts';
import { commandComplete, noData, rowDescription } from '../wire/backend-messages.ts';
import { CUT } from '../wire/framing.ts';
import type { Verdict } from '../wire/framing.ts';
import { message } from '../wire/message.ts';
import { transactionAborted } from './client-error.ts';
import { noticesOf, rowsOf } from './control-answer.ts';
import type { CommandResult } from './control-port.ts';
import { MysqlExtended } from './mysql-tables/mysql-extended.ts';
import type { MysqlPortal } from './mysql-tables/mysql-portal.ts';
import type { Portal, PreparedStatement } from './prepared-statements.ts';
import type { SessionCore } from './session-core.ts';
import type { Flows } from './simple-query.ts';
import { finishesPrepared } from './transaction-answers.ts';

const portalSuspended = message('s');

export class Portals {
  readonly #core: SessionCore;
  /** The unnamed portal, without an object of its own: most units bind it. */
  #unnamedAt: Side | 'gateway' | undefined;
  #unnamedStatement: PreparedStatement | undefined;
  #unnamedResult: Portal['result'];
  #unnamedFormats: Buffer | undefined;
  #unnamedOnMysql: MysqlPortal | undefined;
  /** The unit outside a block whose portals are on record. */
  #unit: WeakRef<object> | undefined;

  constructor(core: SessionCore) {
    this.#core = core;
  }

  get(name: string): Portal | undefined {
    if (name !== '') return this.#core.portals.get(name);
    return this.#unnamedAt === undefined ? undefined : { statement: this.#unnamedStatement, at: this.#unnamedAt, result: this.#unnamedResult, formats: this.#unnamedFormats, mysql: this.#unnamedOnMysql };
  }

  set(name: string, statement: PreparedStatement, at: Side | 'gateway', formats?: Buffer, mysql?: MysqlPortal): void {
    this.get(name)?.mysql?.run?.drop();
    if (name === '') {
      this.#unnamedAt = at;
      this.#unnamedStatement = statement;
      this.#unnamedResult = undefined;
      this.#unnamedFormats = formats;
      this.#unnamedOnMysql = mysql;
      return;
    }
    this.#forgetEnded();
    this.#core.portals.set(name, { statement, at, result: undefined, formats, mysql });
  }

  /** Portals end with their transaction, which clients that name each of theirs anew rely on: those of a block with it (TransactionControl), others with their unit. */
  #forgetEnded(): void {
    const { portals, tx, unit: { segment } } = this.#core;
    if (tx !== undefined || segment === undefined || this.#unit?.deref() === segment) return;
    portals.clear();
    this.#unit = new WeakRef(segment);
  }

  forget(name: string): void {
    this.get(name)?.mysql?.run?.drop();
    if (name === '') this.#unnamedAt = undefined;
    else this.#core.portals.delete(name);
  }

  /** The leg is gone, and its unnamed portal with it. */
  lost(side: Side): void {
    if (this.#unnamedAt === side) this.#unnamedAt = undefined;
  }

  keepResult(name: string, result: NonNullable<Portal['result']>): Portal {
    if (name === '') this.#unnamedResult = result;
    const portal = this.get(name);
    if (portal) portal.result = result;
    return portal ?? { statement: undefined, at: 'gateway', result };
  }
}

export class GatewayPortals {
  readonly #core: SessionCore;
  readonly #flows: Flows;
  readonly #portals: Portals;
  readonly mysql: MysqlExtended;

  constructor(core: SessionCore, flows: Flows, portals: Portals) {
    this.#core = core;
    this.#flows = flows;
    this.#portals = portals;
    this.mysql = new MysqlExtended(core, flows.mysql);
  }

  /** `endsUnit`: the Sync behind it is here already. */
  execute(name: string, portal: Portal, maxRows: number, endsUnit: boolean): Verdict {
    const core = this.#core;
    if (portal.mysql) return this.mysql.execute(portal.mysql, maxRows, endsUnit);
    const stop = core.leaveLeg(false);
    if (stop !== undefined) return stop;
    const { statement } = portal;
    const single = statement?.traits.single;
    const later = single && finishesPrepared(single) && !core.tx ? this.#flows.place.localIfPossible(false) : undefined;
    if (later !== undefined) return later;
    const sql = statement?.sql ?? '';
    if (single && !statement.traits.control) {
      return core.answerLater((done) => this.#flows.control.run(single, sql, (answer, failed) => {
        core.toClient(answer);
        core.unit.skipping ||= failed;
        done();
      }));
    }
    if (core.tx?.failedOn !== undefined) return core.refuseWith(transactionAborted, false);
    if (portal.result) return this.#sendRows(portal, maxRows);
    return this.run(statement, (result) => {
      const running = this.#keepResult(name, result);
      core.toClient(Buffer.concat(noticesOf(result)));
      this.#sendRows(running, maxRows);
    });
  }

  #keepResult(name: string, answer: CommandResult): Portal {
    const result = { answer, sent: 0 };
    return this.#portals.keepResult(name, result);
  }

  #sendRows(portal: Portal, maxRows: number): Verdict {
    const { result } = portal;
    if (!result) return CUT;
    const from = result.sent;
    const to = maxRows > 0 ? Math.min(from + maxRows, result.answer.rows.length) : result.answer.rows.length;
    result.sent = to;
    const rest = to < result.answer.rows.length;
    return this.#answer(Buffer.concat([...rowsOf(result.answer, from, to), rest ? portalSuspended : commandComplete(result.answer.tag)]));
  }

  describe(portal: Portal, name: string): Verdict {
    const core = this.#core;
    const stop = core.leaveLeg(false);
    if (stop !== undefined) return stop;
    if (portal.mysql) return this.mysql.describePortal(portal.mysql);
    if (!portal.statement?.traits.control) return this.#answer(noData);
    if (portal.result) return this.#answer(columnsOf(portal.result.answer));
    return this.run(portal.statement, (result) => {
      this.#keepResult(name, result);
      core.toClient(Buffer.concat([...noticesOf(result), columnsOf(result)]));
    });
  }

  /** Runs the statement behind a portal, or takes what a Describe of the statement has run already. */
  run(statement: PreparedStatement | undefined, ok: (result: CommandResult) => void): Verdict {
    const core = this.#core;
    const described = statement?.described;
    if (statement && described) {
      statement.described = undefined;
      ok(described);
      return CUT;
    }
    return core.answerLater((done) => this.#flows.answer.run(statement?.sql ?? '', (outcome) => {
      if (outcome.ok) ok(outcome.result);
      else {
        this.#flows.answer.failed(outcome.error);
        core.unit.skipping = true;
      }
      done();
    }));
  }

  #answer(bytes: Buffer): Verdict {
    this.#core.toClient(bytes);
    return CUT;
  }
}

export function columnsOf(result: CommandResult): Buffer {
  return result.columns.length > 0 ? rowDescription(result.columns) : noData;
}
