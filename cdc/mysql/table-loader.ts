/** A bulk loader from a MySQL or MariaDB database to PostgreSQL. */
import type { Runtime } from '../../config/runtime.ts';
import type { TableLoader } from '../ports.ts';
import { buildKey } from '../postgres/build-keys.ts';
import { connectServer } from '../postgres/connect.ts';
import { readServerVersion } from '../postgres/read-json.ts';
import type { ServerAddress } from '../postgres/server-address.ts';
import { createLoader } from '../snapshot/copy-table.ts';
import type { LoaderOptions } from '../snapshot/load-context.ts';
import type { TablePlan } from '../table-plan.ts';
import { MysqlChunkSource } from './chunk-reader.ts';
import { convertTable, planMysqlSchema } from './create-schema.ts';
import { introspectMysqlTable } from './introspect.ts';
import { MysqlClient } from './mysql-client.ts';
import { settleDefinition } from './settle-definition.ts';
import type { TypeRules } from './source-column.ts';

export interface MysqlLoaderOptions extends LoaderOptions {
  readonly source: ServerAddress;
  readonly types: TypeRules;
}

export function createMysqlLoader(runtime: Runtime, options: MysqlLoaderOptions): TableLoader {
  return createLoader(runtime, options, new MysqlChunkSource({ source: options.source, types: options.types, buildKey: (plan, signal) => buildPlannedKey(options, plan, signal) }));
}

/** Under the name that the table's conversion gives it; idempotent. */
async function buildPlannedKey({ source, target, types }: MysqlLoaderOptions, plan: TablePlan, signal: AbortSignal): Promise<void> {
  const mysql = new MysqlClient(source);
  const local = await connectServer(target, { applicationName: 'causeway load', signal });
  try {
    const table = await introspectMysqlTable((sql) => mysql.query(sql), plan.source);
    const converted = await settleDefinition(local, convertTable(table, { overrides: types.overridesOf(plan), targetSchema: plan.target.schema, columns: plan.columns.map(({ name }) => name) }));
    const schema = planMysqlSchema(converted, plan, { localVersion: await readServerVersion(local) });
    // A process that was driving this load before may have been building it: then it is there now. Any other cause fails again.
    await buildKey(local, schema).catch(() => buildKey(local, schema));
  } finally {
    await Promise.all([mysql.close(), local.end().catch(() => undefined)]);
  }
}
