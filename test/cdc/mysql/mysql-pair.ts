/** A database on a real MySQL or MariaDB server, one on PostgreSQL beside it, and tables that migrate between them under the real type map. */
import type pg from 'pg';
import type { AskMysql } from '../../../cdc/mysql/connect.ts';
import { convertTable, planMysqlSchema } from '../../../cdc/mysql/create-schema.ts';
import type { ConvertedTable } from '../../../cdc/mysql/create-schema.ts';
import { introspectMysqlTable } from '../../../cdc/mysql/introspect.ts';
import { MysqlClient } from '../../../cdc/mysql/mysql-client.ts';
import type { MysqlQuery } from '../../../cdc/mysql/query.ts';
import { settleDefinition } from '../../../cdc/mysql/settle-definition.ts';
import { readSourceColumns, standardTypes } from '../../../cdc/mysql/source-column.ts';
import type { SourceColumn, TypeRules } from '../../../cdc/mysql/source-column.ts';
import { createTable } from '../../../cdc/postgres/build-keys.ts';
import { planTable } from '../../../cdc/postgres/plan-table.ts';
import type { ServerAddress } from '../../../cdc/postgres/server-address.ts';
import type { TablePlan } from '../../../cdc/table-plan.ts';
import { readTypeOverrides } from '../../../grammar/migration/type-overrides.ts';
import type { TestMysql } from '../../support/mysql-servers.ts';
import type { TestPostgres } from '../../support/postgres.ts';

export interface MysqlPair extends AsyncDisposable {
  readonly database: string;
  readonly source: ServerAddress;
  readonly target: ServerAddress;
  readonly client: pg.Client;
  readonly ask: AskMysql;
  readonly query: MysqlQuery;
  /** Makes the table on local, without its key. */
  migrate(table: string, types?: TypeRules): Promise<TablePlan>;
  /** As the table's definition is now. */
  planAgain(table: string, types?: TypeRules): Promise<TablePlan>;
  columns(plan: TablePlan, types?: TypeRules): Promise<readonly SourceColumn[]>;
}

export function typeRules(typeMap: string): TypeRules {
  const overrides = readTypeOverrides(typeMap);
  if (!overrides) throw new Error(`not a type_map: ${typeMap}`);
  return { ...standardTypes, overridesOf: () => overrides };
}

export async function makeMysqlPair(mysql: TestMysql, local: TestPostgres, database: string, name = database): Promise<MysqlPair> {
  await mysql.createDatabase(database);
  const localName = await local.createDatabase(name);
  const client = await local.client(localName);
  const source = { host: mysql.host, port: mysql.port, user: mysql.user, password: mysql.password, database };
  // Connects again when its server has been killed.
  const connection = new MysqlClient(source);
  const query: MysqlQuery = (sql) => connection.query(sql);
  const settle = async (table: string, types: TypeRules): Promise<ConvertedTable> => {
    const definition = await introspectMysqlTable(query, { schema: database, name: table });
    const fresh = { tableId: table, source: definition, target: { schema: 'public', name: table } };
    const overrides = types.overridesOf({ ...fresh, columns: [], key: [], keyKind: 'primary', uniqueKeys: [], foreignKeys: [], where: undefined, isPartitioned: false, definitionHash: '' });
    return settleDefinition(client, convertTable(definition, { targetSchema: 'public', overrides }));
  };
  return {
    database, source, target: { ...local.address, database: localName }, client, query, ask: (sql) => connection.ask(sql),
    migrate: async (table, types = standardTypes) => {
      const settled = await settle(table, types);
      const plan = planTable(settled.definition, { tableId: table, targetSchema: 'public' });
      await createTable(client, settled.definition, plan, planMysqlSchema(settled, plan, { localVersion: 180000 }));
      return plan;
    },
    planAgain: async (table, types = standardTypes) => planTable((await settle(table, types)).definition, { tableId: table, targetSchema: 'public' }),
    columns: (plan, types = standardTypes) => readSourceColumns(query, plan, types),
    [Symbol.asyncDispose]: async () => {
      await connection.close();
      await client.end();
    },
  };
}
