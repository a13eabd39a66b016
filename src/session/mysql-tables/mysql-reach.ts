/** What sessions of PostgreSQL clients share to reach the MySQL server. */
import type { MysqlTarget } from '../../wire/mysql/connect-mysql.ts';
import type { AskSide } from '../object-numbers.ts';
import { LocalTypes } from './local-types.ts';
import { Translations } from './translations.ts';

/** Handed in by whoever starts the gateway. */
export interface MysqlServer {
  hasLogin(user: string): boolean;
  /** Throws a MigrationError for a user without a login there. */
  target(user: string): MysqlTarget;
  /** False once another server goes on in its place: what is written there is written past the migration. Left out: there is one. */
  isCurrent?(target: MysqlTarget): boolean;
}

export interface MysqlReach extends MysqlServer {
  /** As `FactsLookup.statementTree`. */
  treeOf(text: string): unknown;
  readonly translations: Translations;
  readonly localTypes: LocalTypes;
}

export function mysqlReach(server: MysqlServer, treeOf: (text: string) => unknown, ask: AskSide | undefined, now: () => number): MysqlReach {
  const localTypes = new LocalTypes(ask, now);
  return { hasLogin: (user) => server.hasLogin(user), target: (user) => server.target(user), isCurrent: (target) => server.isCurrent?.(target) ?? true, treeOf, localTypes, translations: new Translations(treeOf, localTypes) };
}
