/** What functions of a session tell of its statements before, wherever those have run: LAST_INSERT_ID(), ROW_COUNT(), FOUND_ROWS(). */
import type { MysqlError } from '../../wire/mysql/error-packet.ts';
import type { MysqlSessionValue } from '../../../grammar/dialect/postgres/mysql-translation.ts';
import type { PlanNumbers } from './plan-counts.ts';
import type { SessionClock } from './plan-values.ts';
import type { SessionFacts } from './session-facts.ts';

export class SessionValues {
  /** Of an insert on local, which the server does not know of yet. */
  #localInsertId: bigint | undefined;
  /** What the server says when it is asked. */
  serverInsertId = '0';
  /** It may say another by now. */
  isServerInsertIdOld = false;
  /** The last statement that counted anything has run on local. */
  #isLocal = false;
  #rowCount = -1;
  #error: MysqlError | undefined;
  #foundRows = '0';

  /** The server would answer of an older statement. */
  answersFor(text: string): boolean {
    return this.#isLocal && /\b(?:row_count|found_rows)\s*\(/i.test(text);
  }

  /** Of a statement that has run on local; undefined: it has not, or it has told of nothing. */
  diagnostics(): { readonly error: MysqlError | undefined } | undefined {
    return this.#isLocal ? { error: this.#error } : undefined;
  }

  /** What the server is to be told before it gets the statement, once. */
  pushed(text: string, isWrite: boolean): string | undefined {
    const id = this.#localInsertId;
    if (id === undefined || (!isWrite && !/last_insert_id/i.test(text))) return undefined;
    this.#localInsertId = undefined;
    this.isServerInsertIdOld = true;
    return `SET SESSION last_insert_id = ${id}`;
  }

  onServer(text: string, isWrite: boolean): void {
    this.#isLocal = false;
    // Also who asks may set it: LAST_INSERT_ID(7).
    if (isWrite || /last_insert_id/i.test(text)) this.isServerInsertIdOld = true;
  }

  ranOnLocal({ lastInsertId, rowCount, foundRows }: PlanNumbers): void {
    this.#isLocal = true;
    this.#error = undefined;
    if (lastInsertId !== undefined) this.#localInsertId = lastInsertId;
    this.#rowCount = rowCount;
    if (foundRows !== undefined) this.#foundRows = foundRows;
  }

  failed(error: MysqlError): void {
    this.#error = error;
    this.#isLocal = true;
    this.#rowCount = -1;
  }

  of(value: MysqlSessionValue, facts: SessionFacts): string | null {
    switch (value) {
      case 'last_insert_id':
        return this.#localInsertId === undefined ? this.serverInsertId : String(this.#localInsertId);
      case 'row_count':
        return String(this.#rowCount);
      case 'found_rows':
        return this.#foundRows;
      case 'connection_id':
        return facts.connectionId;
      case 'user':
        return facts.user;
      case 'current_user':
        return facts.currentUser;
      case 'version':
        return facts.version;
      case 'database':
        return facts.database ?? null;
      case 'uuid':
        return null;
      default:
        return value satisfies never;
    }
  }

  /** SET TIMESTAMP stops a session's clock. */
  clock({ fixedTimestamp, timeZone }: SessionFacts, nowMs: number): SessionClock {
    const micros = fixedTimestamp === undefined ? BigInt(Math.trunc(nowMs * 1000)) : BigInt(Math.round(Number(fixedTimestamp) * 1_000_000));
    return { micros, timeZone };
  }
}
