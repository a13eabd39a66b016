/** All that a translation is told of a session on local, and what that was made of. */
import type { MigratedTable } from '../../../grammar/dialect/migrated-table.ts';
import type { MysqlFacts, MysqlParameter, MysqlTextMode } from '../../../grammar/dialect/postgres/mysql-translation.ts';
import { factsName } from './session-facts.ts';
import type { SessionFacts } from './session-facts.ts';
import { noVariables } from './user-variables.ts';
import type { UserVariables } from './user-variables.ts';
import { tableTranslation } from './table-translation.ts';

export interface FactsParts {
  readonly session: SessionFacts;
  readonly mode: MysqlTextMode;
  /** A table on local. */
  readonly find: (database: string, name: string) => MigratedTable | undefined;
  /** CLIENT_FOUND_ROWS. */
  readonly foundRows: boolean;
  readonly localVersion: number;
  /** Of a prepared statement. */
  readonly parameters: readonly MysqlParameter['kind'][] | undefined;
  /** Of the session, that the statement reads. */
  readonly variables: UserVariables | undefined;
}

export function translationFacts({ session, mode, find, foundRows, localVersion, parameters, variables }: FactsParts): MysqlFacts {
  return {
    table: (database, name) => {
      const found = find(database, name);
      return found && tableTranslation(found);
    },
    database: session.database, mode, timeZone: session.timeZone, timeNames: session.timeNames, charset: session.connectionCharset, collation: session.collation, foundRows,
    divPrecision: session.divPrecision, groupConcatMaxLength: session.groupConcatMaxLength, weekFormat: session.weekFormat, regexFlags: session.regexFlags, localVersion, isLenient: !session.isStrict, ...(parameters === undefined ? {} : { parameters }), ...(variables === undefined ? {} : { userVariable: (name: string) => variables.get(name) }),
  };
}

/** Equal parts, equal facts. */
export function factsBasis({ session, foundRows, parameters = [], variables = noVariables }: FactsParts, snapshot: object, tables: readonly MigratedTable[]): readonly unknown[] {
  return [factsName(session), snapshot, parameters.join(), foundRows, variables.size === 0 ? '' : JSON.stringify([...variables]), ...tables];
}
