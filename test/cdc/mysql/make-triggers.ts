/** A fence's triggers as they are made in a pause, waiting for the tables, while programs past the gateway go on; with the pace of those that are made before one. */
import { setTimeout as delay } from 'node:timers/promises';
import type { QualifiedName } from '../../../catalog/routing-snapshot.ts';
import { FENCE_PACE_MS, installFenceTriggers } from '../../../cdc/mysql/fence.ts';
import { readMysqlServer } from '../../../cdc/mysql/introspect.ts';
import { withLocks } from '../../../cdc/mysql/lock-attempts.ts';
import { MysqlClient } from '../../../cdc/mysql/mysql-client.ts';
import type { TestMysql } from '../../support/mysql-servers.ts';
import { testRuntime } from '../snapshot/loader-fixture.ts';

export async function makeTriggers({ host, port, user, password }: TestMysql, tables: readonly QualifiedName[]): Promise<void> {
  const client = new MysqlClient({ host, port, user, password, database: 'mysql' });
  try {
    await withLocks(testRuntime(), client, tables, 20_000, async (query) => installFenceTriggers(query, tables, await readMysqlServer(query), () => delay(FENCE_PACE_MS)));
  } finally {
    await client.close();
  }
}
