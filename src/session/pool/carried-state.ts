/**
 * What a session on a pooled connection has changed of it. Settings made by a SET of its own are carried: the next connection is given them before
 * it is used. Anything else that stays behind a transaction (temporary tables, LISTEN, SQL's PREPARE, advisory locks, WITH HOLD cursors, what a DO, a procedure or `set_config`
 * may have done) ties the session to the connection that it is on, until DISCARD ALL or its end.
 *
 * States: free ⇄ tied. Specification: DESIGN §4 "Pooling", RULES 28.
 */
import type { StatementFacts } from '../../../grammar/sql/statement-facts.ts';
import type { Borrowing } from '../leg-connection.ts';

const settingsSql = (settings: string): string => `RESET ALL; ${settings}`;

type Change = { readonly type: 'set'; readonly name: string; readonly sql: string } | { readonly type: 'reset'; readonly name: string | undefined } | { readonly type: 'discard' } | { readonly type: 'forget_statements' };

/** These decide what the session may do, and which settings it may make: not to be repeated out of their order. */
const notCarried = /^(?:role|session_authorization|transaction_.*|)$/;

export class CarriedState {
  readonly #settings = new Map<string, string>();
  readonly #pending: Change[] = [];
  /** Why the session needs the connection that it has; undefined while any will do. */
  tiedBy: string | undefined;
  /** The block, or the unit, in which something was sent that may have drawn a sequence's value. */
  drawnIn: object | undefined;
  /** Names the settings: equal ones, equal name. */
  settings = '';

  get isTied(): boolean {
    return this.tiedBy !== undefined;
  }

  /** What makes them on a connection that has others. */
  sql(): string {
    return settingsSql(this.settings);
  }

  /** As they are now. */
  asOfNow(): Borrowing {
    const { settings } = this;
    return { settings, isTied: false, sql: () => settingsSql(settings) };
  }

  /** What sequences have told is asked in the block or unit that has drawn, or of nobody. */
  drewElsewhere(open: object | undefined): boolean {
    return this.tiedBy === undefined && (open === undefined || this.drawnIn !== open);
  }

  tie(reason: string): void {
    this.tiedBy ??= reason;
  }

  /** Of a statement that is sent now; `alone`: it commits by itself, and nothing else is in its text. */
  sent(statement: StatementFacts, alone: boolean, text: () => string): void {
    switch (statement.kind) {
      case 'set':
      case 'reset':
        if (statement.setting?.local !== true) this.#sentSetting(statement, alone, text);
        break;
      case 'discard':
        if (statement.objectName === 'all') this.#pending.push({ type: 'discard' });
        break;
      case 'deallocate':
        if (statement.objectName === undefined || statement.objectName === 'all') this.#pending.push({ type: 'forget_statements' });
        break;
      case 'prepare':
      case 'listen':
      case 'create_temp':
      case 'call':
      case 'do':
        this.tie(statement.kind.replace('_', ' '));
        break;
      case 'declare_cursor':
        if (statement.flags.withHold) this.tie('cursor with hold');
        break;
      default:
        if (statement.flags.lastingLock) this.tie('advisory lock');
        else if (statement.flags.sessionEffect && !statement.flags.advisoryLock && !statement.flags.usesLastval && statement.setting?.local !== true) this.tie('function with an effect on the session');
    }
  }

  #sentSetting(statement: StatementFacts, alone: boolean, text: () => string): void {
    const name = statement.setting?.name;
    // One that is under way could fail, and what comes of both would depend on it.
    if (!alone || this.#pending.length > 0 || (name !== undefined && notCarried.test(name)) || (name === undefined && statement.kind === 'set')) this.tie('SET');
    else if (statement.kind === 'reset') this.#pending.push({ type: 'reset', name: name === 'all' ? undefined : name });
    else if (name !== undefined) this.#pending.push({ type: 'set', name, sql: text().replace(/[\s;]+$/, '') });
  }

  get hasPending(): boolean {
    return this.#pending.length > 0;
  }

  /** The unit that held what was sent is over. Returns what the connection has forgotten. */
  ended(failed: boolean): 'statements' | undefined {
    const changes = this.#pending.splice(0);
    if (failed) return undefined;
    for (const change of changes) this.#apply(change);
    this.settings = [...this.#settings].toSorted(([left], [right]) => (left < right ? -1 : 1)).map(([, sql]) => `${sql}\n;`).join("");
    return changes.some(({ type }) => type === 'discard' || type === 'forget_statements') ? 'statements' : undefined;
  }

  #apply(change: Change): void {
    switch (change.type) {
      case 'set':
        this.#settings.set(change.name, change.sql);
        break;
      case 'reset':
        if (change.name === undefined) this.#settings.clear();
        else this.#settings.delete(change.name);
        break;
      case 'discard':
        this.#settings.clear();
        this.tiedBy = undefined;
        break;
      case 'forget_statements':
        break;
      default:
        change satisfies never;
    }
  }
}
