/**
 * A MySQL client's transaction as far as it is on local: begun there with the first statement that needs it, in the isolation that keeps MySQL's
 * promises (docs/decisions/0018), under the savepoints that the session has set by then.
 *
 * States: none → open → none. What it is to be like is noted before: savepoints, the words of START TRANSACTION and SET TRANSACTION.
 */
import type { RoutingSnapshot } from '../../../catalog/routing-snapshot.ts';
import { quoteName } from '../../../grammar/names.ts';
import type { MysqlIsolation } from './session-facts.ts';
import type { TransactionWord } from './transaction-words.ts';

const levels: Readonly<Record<MysqlIsolation, string>> = {
  'read uncommitted': 'READ COMMITTED', 'read committed': 'READ COMMITTED', 'repeatable read': 'REPEATABLE READ', serializable: 'SERIALIZABLE',
};

export class LocalTransaction {
  /** In their order, in lower case: MySQL's names do not tell capitals apart. */
  #savepoints: string[] = [];
  /** Of SET TRANSACTION, for the next one alone. */
  #nextLevel: MysqlIsolation | undefined;
  #readOnly = false;
  #isSnapshot = false;
  isOpen = false;
  /** Under which it was begun. */
  begunUnder: RoutingSnapshot | undefined;
  /** What it reads is as old as its first statement. */
  hasSnapshot = false;
  wroteLocal = false;
  wroteServer = false;

  /** Of a statement that the MySQL server is sent. */
  noted(word: TransactionWord): void {
    switch (word.type) {
      case 'savepoint':
        this.#savepoints = [...this.#savepoints.filter((each) => each !== word.name.toLowerCase()), word.name.toLowerCase()];
        return;
      case 'rollback to':
        this.#savepoints.length = this.#place(word.name) + 1;
        return;
      case 'release':
        this.#savepoints.length = Math.max(this.#place(word.name), 0);
        return;
      case 'commit':
      case 'rollback':
      case 'implicit commit':
      case 'lock':
      case 'unlock':
        this.ended();
        return;
      case 'begin':
        this.#savepoints = [];
        this.wroteServer = false;
        this.#readOnly = word.readOnly;
        this.#isSnapshot = word.isSnapshot;
        return;
      case 'isolation':
        this.#nextLevel = Object.keys(levels).find((each): each is MysqlIsolation => each === word.level);
        return;
      default:
    }
  }

  /** All, when there is none of the name: the server says so. */
  #place(name: string): number {
    const at = this.#savepoints.lastIndexOf(name.toLowerCase());
    return at < 0 ? this.#savepoints.length - 1 : at;
  }

  /** What begins it. A statement that changes or locks rows works on the newest ones, as at InnoDB; one that only reads gives the transaction its snapshot. */
  begin(isPlainRead: boolean, isolation: MysqlIsolation, snapshot: RoutingSnapshot): string {
    const asked = this.#nextLevel ?? isolation;
    const level = asked === 'repeatable read' && !isPlainRead && !this.#isSnapshot && !this.#readOnly ? 'read committed' : asked;
    this.isOpen = true;
    this.hasSnapshot = level === 'repeatable read' || level === 'serializable';
    this.begunUnder = snapshot;
    return [`BEGIN ISOLATION LEVEL ${levels[level]}${this.#readOnly ? ' READ ONLY' : ''}`, ...this.#savepoints.map(savepointSql)].join('; ');
  }

  /** What local is told beside the server; undefined: nothing, as for a name that neither knows. */
  beside(word: TransactionWord): string | undefined {
    if (word.type !== 'savepoint' && word.type !== 'rollback to' && word.type !== 'release') return undefined;
    const isKnown = this.#savepoints.includes(word.name.toLowerCase());
    if (word.type === 'savepoint') return savepointSql(word.name);
    if (!isKnown) return undefined;
    return `${word.type === 'release' ? 'RELEASE' : 'ROLLBACK TO'} SAVEPOINT ${nameOf(word.name)}`;
  }

  /** It is over on local; the session's may go on. */
  closed(): void {
    this.isOpen = false;
    this.hasSnapshot = false;
    this.begunUnder = undefined;
    this.wroteLocal = false;
  }

  /** A statement that committed by itself has run, or nothing is open. */
  idle(): void {
    this.#savepoints = [];
    this.#readOnly = false;
    this.#isSnapshot = false;
    this.wroteServer = false;
  }

  /** The session's is over. */
  ended(): void {
    this.closed();
    this.#savepoints = [];
    this.#nextLevel = undefined;
    this.#readOnly = false;
    this.#isSnapshot = false;
    this.wroteServer = false;
  }
}

/** Apart from the gateway's own. */
function nameOf(name: string): string {
  return quoteName(`c ${name.toLowerCase()}`);
}

function savepointSql(name: string): string {
  return `SAVEPOINT ${nameOf(name)}`;
}
