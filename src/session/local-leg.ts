/**
 * The session's leg to local: opened when first needed, and brought to the session state that the home leg has (settings, role, LISTENs)
 * whenever that may have changed since. What the home leg has is asked of the home leg itself, so nothing that a function or
 * a rollback has changed is missed.
 */
import type { Side } from '../../catalog/routing-snapshot.ts';
import { MigrationError } from '../../config/migration-error.ts';
import { connectServer } from '../wire/connect-server.ts';
import { readErrorFields } from '../wire/error-fields.ts';
import type { ErrorFields } from '../wire/error-fields.ts';
import type { Verdict } from '../wire/framing.ts';
import { Backend } from './backend.ts';
import { beginOn } from './begin-on.ts';
import { canceledByUser, errorFieldsOf } from './client-error.ts';
import { Leg } from './leg.ts';
import type { LegOwner } from './leg-owner.ts';
import type { SessionCore } from './session-core.ts';
import { blockStateSql, stateQueryWith, stateSql } from './session-state.ts';

const RETRY_AFTER_MS = 1_000;
/** No session carries this: the connection's settings are made anew for the next one. */
const OF_ONE_SESSION = 'of one session';

const contextQuery = `SELECT pg_catalog.to_json(pg_catalog.current_schemas(false))::text,
  (SELECT coalesce(pg_catalog.json_agg(relname), '[]')::text FROM pg_catalog.pg_class WHERE relnamespace = pg_catalog.pg_my_temp_schema() AND relkind IN ('r', 'p', 'v', 'm', 'f', 'S')),
  pg_catalog.current_setting('default_transaction_isolation'), pg_catalog.current_setting('default_transaction_read_only')`;

export class LocalLeg {
  readonly #core: SessionCore;
  readonly #owner: LegOwner;
  #abort: (() => void) | undefined;
  #failure: { readonly untilMs: number; readonly error: MigrationError } | undefined;
  /** The session's state version that the open leg has. */
  #version = 0;
  #refreshing = false;
  #bringingUp = false;
  /** Why local would not take the session's state; told to the statement that waits for it, the next one tries again. */
  #stateError: ErrorFields | undefined;

  constructor(core: SessionCore, owner: LegOwner) {
    this.#core = core;
    this.#owner = owner;
  }

  settingsNamed(names: readonly string[]): void {
    for (const name of names) this.#core.customSettings.add(name);
  }

  /** Could not be reached a moment ago: what the source can answer is read there meanwhile. */
  get down(): boolean {
    if (this.#failure && this.#core.now() >= this.#failure.untilMs) this.#failure = undefined;
    return this.#failure !== undefined;
  }

  /** Waits for the leg; refuses the statement when it could not be opened a moment ago. */
  open(simple: boolean): Verdict {
    const failure = this.down ? this.#failure : undefined;
    if (failure) return this.#core.refuse(failure.error, simple);
    this.openInBackground();
    return this.#core.wait('leg');
  }

  openInBackground(): void {
    if (this.#abort || this.#core.local) return;
    const core = this.#core;
    try {
      const target = core.services.legs.target('local', core.identity);
      if (core.carried) {
        this.#opened(new Leg('local', core.services.pools.lender('local', target, core.identity), this.#owner, core.services.numbers));
        return;
      }
      const startup = new Map([...core.identity.startup, ['database', target.database]]);
      this.#abort = connectServer(target, startup, core.services.limits.legConnectTimeoutMs, (outcome) => {
        this.#abort = undefined;
        if (!outcome.ok) {
          this.refused(outcome.error ? (readErrorFields(outcome.error, 0, outcome.error.length).get('M') ?? outcome.reason) : outcome.reason);
          return;
        }
        this.#opened(new Leg('local', new Backend(target, outcome, core.now()), this.#owner, core.services.numbers));
      }, core.services.readBuffers);
    } catch (error) {
      // Thrown before any wait: the caller's wait ends in the next turn.
      setImmediate(() => this.#failed(error instanceof MigrationError ? error : new MigrationError('MIG090', undefined, { cause: error })));
    }
  }

  #opened(leg: Leg): void {
    const core = this.#core;
    this.#version = 0;
    core.local = leg;
    // Local may have been restarted, without the last of what it had shown.
    core.sourceSeen = true;
    core.mysqlSeen = true;
    core.services.runtime.log.debug('local leg opened', { session: core.identity.sessionId });
    // Perhaps called from within the flow that is about to wait.
    if (leg.isPooled) queueMicrotask(() => core.proceed('leg'));
    else core.proceed('leg');
  }

  /** There is no connection to local. */
  refused(reason: string): void {
    this.#failed(new MigrationError('MIG001', 'local cannot be reached', { detail: reason, hint: 'Check the local server; tables that still live on the source can be used meanwhile.' }));
  }

  /** STOP until the leg has the session's state; undefined when it has. */
  bringUp(leg: Leg, simple: boolean): Verdict | undefined {
    const core = this.#core;
    // A pooled connection comes with what the session carries. What the block has set goes with the block.
    const isLent = core.carried !== undefined && core.carried.tiedBy === undefined;
    if (this.#version === core.stateVersion || (isLent && core.tx?.changedSession !== true)) return undefined;
    const stateError = this.#stateError;
    if (stateError) {
      this.#stateError = undefined;
      return core.refuseWith(stateError, simple);
    }
    const homeBusyInUnit = core.unit.segment !== undefined && (core.unit.leg === core.home || core.unit.leg === leg);
    if (homeBusyInUnit || core.home.status === 'E') return undefined;
    if (!this.#bringingUp) {
      this.#bringingUp = true;
      if (isLent) beginOn(core, leg);
      const version = core.stateVersion;
      core.ask(core.home, stateQueryWith(core.customSettings, core.home.target.user), (state) => {
        if (leg.closed) return;
        // Without what the source says of the session, local would get a session without its role and settings.
        if (state.error) {
          this.#bringingUp = false;
          this.#stateError = stateRefused(state.error);
          core.proceed('state');
          return;
        }
        if (leg.backend && !isLent) leg.backend.settings = OF_ONE_SESSION;
        core.ask(leg, isLent ? blockStateSql(state.rows) : stateSql(state.rows), (reply) => {
          this.#bringingUp = false;
          if (reply.error) this.#stateError = stateRefused(reply.error);
          else this.#version = version;
          core.proceed('state');
        });
      });
    }
    return core.wait('state');
  }

  /** Reads search path, temporary tables and defaults again from the home leg. */
  refreshContext(simple: boolean): Verdict {
    const core = this.#core;
    const stateError = this.#stateError;
    if (stateError) {
      this.#stateError = undefined;
      return core.refuseWith(stateError, simple);
    }
    if (!this.#refreshing) {
      this.#refreshing = true;
      core.contextDirty = false;
      core.ask(core.home, contextQuery, (reply) => {
        this.#refreshing = false;
        // A session that could not be asked is not one without temporary tables: a name of theirs would be taken for the table that has moved.
        if (reply.error) {
          core.contextDirty = true;
          this.#stateError = stateRefused(reply.error);
          core.proceed('state');
          return;
        }
        const [path, temporary, isolation, readOnly] = reply.rows[0] ?? [];
        if (typeof path === 'string') core.searchPath = core.services.routes.searchPath(JSON.parse(path) as string[]);
        const tables = new Map<string, Side>([...core.temporaryTables].filter(([, side]) => side === 'local'));
        for (const name of JSON.parse(temporary ?? '[]') as string[]) tables.set(name, 'source');
        core.temporaryTables = tables;
        core.defaults = { isolation: isolation === 'repeatable read' || isolation === 'serializable' ? isolation : 'read committed', readOnly: readOnly === 'on' };
        core.proceed('state');
      });
    }
    return core.wait('state');
  }

  closed(): void {
    this.#core.local = undefined;
    this.#version = 0;
    this.#bringingUp = false;
    this.#core.statements.forget('local');
    this.#core.temporaryTables = new Map([...this.#core.temporaryTables].filter(([, side]) => side === 'source'));
    this.#core.proceed('state');
  }

  drop(): void {
    this.#abort?.();
  }

  #failed(error: MigrationError): void {
    const core = this.#core;
    this.#failure = { untilMs: core.now() + RETRY_AFTER_MS, error };
    core.services.runtime.log.warn('local leg could not be opened', { session: core.identity.sessionId, detail: error.detail });
    core.proceed('leg');
  }
}

/** A cancel that met this and not the statement, which has not begun, is the statement's all the same. */
function stateRefused(error: Buffer): ErrorFields {
  const fields = readErrorFields(error, 0, error.length);
  if (fields.get('C') === canceledByUser.sqlstate) return { ...canceledByUser, message: fields.get('M') ?? canceledByUser.message };
  return errorFieldsOf(new MigrationError('MIG004', 'the session cannot be on local what it is on the source', {
    detail: fields.get('M') ?? '',
    hint: 'A role that DETAIL names has to be on local, and the user that the gateway logs in as there must be allowed to take it (GRANT role TO user).',
  }));
}
