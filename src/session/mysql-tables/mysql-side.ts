/**
 * A session's connection to the MySQL server, made when a statement first needs it.
 *
 * States: none → connecting → (settings) → idle ⇄ busy; a connection that ends while it has nothing open is made anew, one that ends amid a
 * statement or a transaction ends the session.
 */
import { MigrationError } from '../../../config/migration-error.ts';
import { parseMysqlVersion, serverCapabilities, sessionSettings } from '../../../grammar/dialect/mysql/server-capabilities.ts';
import type { DialectCapabilities } from '../../../grammar/dialect/mysql/translation.ts';
import type { Verdict } from '../../wire/framing.ts';
import { connectMysql } from '../../wire/mysql/connect-mysql.ts';
import type { MysqlTarget } from '../../wire/mysql/connect-mysql.ts';
import { MysqlTextClient, textClientOptions } from '../../wire/mysql/text-client.ts';
import type { TakeRow, TextOutcome } from '../../wire/mysql/text-client.ts';
import { errorFieldsOf } from '../client-error.ts';
import { killOnServer } from '../mysql/kill-on-server.ts';
import { LastNumbers } from './last-numbers.ts';
import type { MysqlOwner } from './mysql-owner.ts';

const RETRY_AFTER_MS = 1_000;

/** Of a portal whose rows the client has not fetched to the end. */
export interface SuspendedRows {
  /** The connection is needed: the rest is kept aside. `done` once it has come. */
  setAside(done: () => void): void;
  drop(): void;
}

/** What a barrier waits for: a unit outside a block. */
export interface OpenMysqlUnit {
  readonly touches: readonly string[];
  readonly epoch: number;
}

/** The client is asked for the data of a COPY: what it sends is the COPY's until that has ended. */
export interface CopyTaker {
  readonly isOpen: boolean;
  /** Undefined: it is none of the COPY's. */
  message(type: number, buffer: Buffer, start: number, length: number): Verdict | undefined;
  cancel(): void;
}

export class MysqlSide {
  readonly #core: MysqlOwner;
  #client: MysqlTextClient | undefined;
  #target: MysqlTarget | undefined;
  #abort: (() => void) | undefined;
  #failure: { readonly untilMs: number; readonly error: MigrationError } | undefined;
  readonly #held = new Set<'client' | 'portal'>();
  #isKilling = false;
  #afterKill: (() => void)[] = [];
  /** Known once connected, and kept: the server behind an address does not change its product. */
  capabilities: DialectCapabilities | undefined;
  /** That the connection has chosen. */
  database: string | undefined;
  /** The client has been told something of this server. */
  hasSeen = false;
  /** Units outside a block that are under way. */
  readonly units = new Set<OpenMysqlUnit>();
  suspended: SuspendedRows | undefined;
  copyIn: CopyTaker | undefined;
  readonly numbers = new LastNumbers();
  #lockTimeoutMs = 0;
  #isSettingLockTimeout = false;

  constructor(core: MysqlOwner) {
    this.#core = core;
  }

  get isOpen(): boolean {
    return this.#client !== undefined;
  }

  /** No statement is under way. */
  get idle(): boolean {
    return this.#client?.isBusy !== true;
  }

  /** STOP until there is a connection; undefined when there is. */
  ready(simple: boolean): Verdict | undefined {
    if (this.#client && this.#target && this.#core.services.mysql?.isCurrent?.(this.#target) === false) {
      this.#leave();
      if (this.#core.ended) return this.#core.wait('leg');
    }
    if (this.#client && this.capabilities) return undefined;
    const core = this.#core;
    if (this.#failure && core.now() < this.#failure.untilMs) return core.refuse(this.#failure.error, simple);
    this.#failure = undefined;
    if (!this.#abort) this.#connect();
    return core.wait('leg');
  }

  /** Behind everything that is under way; only when it is `ready`. A connection that is lost meanwhile ends the session. */
  query(sql: string, takeRow: TakeRow, done: (outcome: TextOutcome) => void): void {
    if (this.suspended) {
      this.suspended.setAside(() => this.query(sql, takeRow, done));
      return;
    }
    // A kill that comes late would hit this one.
    if (this.#isKilling) {
      this.#afterKill.push(() => this.query(sql, takeRow, done));
      return;
    }
    this.hasSeen = true;
    this.#core.mysqlSeen = true;
    this.#client?.query(sql, takeRow, done);
  }

  /**
   * The client's `lock_timeout`, in whole seconds, as the server counts them, for locks of rows and of definitions; 0: as long as the server's own settings say.
   * False: `done` is called once it is so.
   */
  hasLockTimeout(ms: number, done: () => void): boolean {
    if (this.#isSettingLockTimeout) return false;
    if (ms === this.#lockTimeoutMs) return true;
    this.#isSettingLockTimeout = true;
    const seconds = ms > 0 ? String(Math.ceil(ms / 1000)) : 'DEFAULT';
    this.query(`SET SESSION innodb_lock_wait_timeout = ${seconds}, lock_wait_timeout = ${seconds}`, () => undefined, () => {
      this.#isSettingLockTimeout = false;
      this.#lockTimeoutMs = ms;
      done();
    });
    return false;
  }

  clientBackpressure(full: boolean): void {
    if (full) this.hold('client');
    else this.release('client');
  }

  /** No more rows are handed out until `release` has been called for each reason. */
  hold(reason: 'client' | 'portal'): void {
    if (!this.#client?.isBusy) return;
    this.#held.add(reason);
    this.#client.pause();
  }

  release(reason: 'client' | 'portal'): void {
    if (this.#held.delete(reason) && this.#held.size === 0) this.#client?.resume();
  }

  /** Their transaction is over: nobody fetches the rest of one. */
  portalsEnded(): void {
    this.suspended?.drop();
  }

  /** `done` once no statement can be hit by it any more. */
  cancel(done: () => void): void {
    this.copyIn?.cancel();
    const client = this.#client;
    if (!client?.isBusy || !this.#target || this.#isKilling) return done();
    this.#isKilling = true;
    killOnServer(this.#target, client.threadId, 'query', this.#core.services.limits.legConnectTimeoutMs, () => {
      this.#isKilling = false;
      for (const next of this.#afterKill.splice(0)) next();
      done();
    });
  }

  /** In good order: what has been sent is still carried out. */
  end(): void {
    this.#abort?.();
    this.#client?.quit();
    this.#client = undefined;
  }

  /** At once. A server looks for its client only when it has something to say, so it is told what to end. */
  abandon(): void {
    const client = this.#client;
    if (!client?.isBusy) return this.end();
    this.#client = undefined;
    if (this.#target) killOnServer(this.#target, client.threadId, 'connection', this.#core.services.limits.legConnectTimeoutMs, () => undefined);
    client.destroy();
  }

  #connect(): void {
    const core = this.#core;
    try {
      const target = core.services.mysql?.target(core.identity.user);
      if (!target) throw new MigrationError('MIG001', 'there is no MySQL server');
      this.#target = target;
      this.#abort = connectMysql(target, textClientOptions, core.services.limits.legConnectTimeoutMs, (login) => {
        if (login.ok) this.#settle(new MysqlTextClient(login, () => this.#lost()));
        else this.#failed(new MigrationError('MIG001', 'the MySQL server cannot be reached', { detail: login.reason, hint: 'Check the server and the user\'s login there; tables that are not on it can be used meanwhile.' }));
      });
    } catch (error) {
      this.#abort = () => undefined;
      setImmediate(() => this.#failed(error instanceof MigrationError ? error : new MigrationError('MIG090', undefined, { cause: error })));
    }
  }

  #settle(client: MysqlTextClient): void {
    const version = parseMysqlVersion(client.version);
    this.database = undefined;
    this.#lockTimeoutMs = 0;
    this.#isSettingLockTimeout = false;
    this.#client = client;
    if (!version) return this.#failed(new MigrationError('MIG001', 'the MySQL server does not say its version', { detail: client.version }));
    const capabilities = serverCapabilities(version);
    const settings = [...sessionSettings(capabilities)];
    const next = (): void => {
      const sql = settings.shift();
      if (sql === undefined) {
        this.#abort = undefined;
        this.capabilities = capabilities;
        this.#core.services.runtime.log.debug('connection to the MySQL server opened', { session: this.#core.identity.sessionId });
        this.#core.proceed('leg');
        return;
      }
      client.query(sql, () => undefined, (outcome) => {
        if (outcome.ok) next();
        else this.#failed(new MigrationError('MIG001', 'the MySQL server refuses the settings of a session', { detail: outcome.error.message }));
      });
    };
    next();
  }

  #failed(error: MigrationError): void {
    const core = this.#core;
    this.#abort = undefined;
    this.#client?.destroy();
    this.#client = undefined;
    if (core.ended) return;
    this.#failure = { untilMs: core.now() + RETRY_AFTER_MS, error };
    core.services.runtime.log.warn('no connection to the MySQL server', { session: core.identity.sessionId, detail: error.detail });
    core.proceed('leg');
  }

  /** Another server goes on in this one's place. */
  #leave(): void {
    this.#client?.destroy();
    this.capabilities = undefined;
    this.#lost();
  }

  #lost(): void {
    const core = this.#core;
    if (this.#abort) return this.#failed(new MigrationError('MIG001', 'the MySQL server has ended the connection'));
    this.#client = undefined;
    this.numbers.connectionLost();
    const isOpen = this.units.size > 0 || this.suspended !== undefined || core.tx?.mysql.begun === true;
    if (core.ended) return;
    // It is connected anew.
    if (!isOpen) return core.proceed('leg');
    core.fatal(errorFieldsOf(new MigrationError('MIG002', 'the connection to the MySQL server was lost', { hint: 'Connect again.' }), 'FATAL'));
  }
}
