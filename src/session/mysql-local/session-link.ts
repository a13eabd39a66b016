/** A session's connection to local: made when it is first wanted, and again when it has gone. */
import type { LocalSession } from './local-session.ts';
import type { LocalLink, LocalReply } from './local-link.ts';
import type { MysqlLocal } from './mysql-local.ts';
import type { SessionFacts } from './session-facts.ts';

export class SessionLink {
  readonly #local: MysqlLocal;
  readonly #session: LocalSession;
  /** It has gone by itself. */
  readonly #onLost: () => void;
  current: LocalLink | undefined;

  constructor(local: MysqlLocal, session: LocalSession, onLost: () => void) {
    this.#local = local;
    this.#session = session;
    this.#onLost = onLost;
  }

  get backendPid(): { readonly local?: number } {
    const pid = this.current?.pid ?? 0;
    return pid === 0 ? {} : { local: pid };
  }

  /** Throws a MigrationError when the user has no counterpart on local. */
  open(facts: SessionFacts): LocalLink {
    if (this.current && !this.current.isOver) return this.current;
    this.current = this.another(facts, () => {
      this.current = undefined;
      this.#onLost();
    });
    return this.current;
  }

  /** A connection beside it, under the same login. */
  another({ lockWaitSeconds }: SessionFacts, onOver: () => void): LocalLink {
    const { user, database } = this.#session.client;
    return this.#local.open(user, database ?? '', lockWaitSeconds, onOver);
  }

  /** What local can do depends on its version. */
  learnVersion(link: LocalLink, then: (failure: Exclude<LocalReply, { type: 'done' }> | undefined) => void): void {
    link.query("SELECT current_setting('server_version_num')", (reply) => {
      if (reply.type !== 'done') return then(reply);
      this.#local.version = Number(reply.rows[0]?.[0] ?? 0);
      then(undefined);
    });
  }

  forget(): void {
    this.end();
    this.current = undefined;
  }

  end(leavesRunning = false): void {
    this.current?.end(leavesRunning);
  }
}
