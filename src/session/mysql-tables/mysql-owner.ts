/** What a connection to the MySQL server asks of the session that it belongs to. */
import type { OpenTransaction } from '../../execute/open-transaction.ts';
import type { ErrorFields } from '../../wire/error-fields.ts';
import type { Verdict } from '../../wire/framing.ts';
import type { Services } from '../services.ts';
import type { ClientIdentity } from '../session-parts.ts';

export interface MysqlOwner {
  readonly services: Services;
  readonly identity: ClientIdentity;
  readonly tx: OpenTransaction | undefined;
  readonly ended: boolean;
  /** It has seen what local may not show. */
  mysqlSeen: boolean;
  now(): number;
  refuse(error: unknown, simple: boolean): Verdict;
  wait(reason: 'leg'): Verdict;
  proceed(reason: 'leg'): void;
  fatal(fields: ErrorFields): void;
}
