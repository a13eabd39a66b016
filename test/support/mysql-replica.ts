/** A throw-away server as the replica of another one, by GTID, and its promotion. */
import type { TestMysql } from './mysql-servers.ts';

/** Everything that `primary` has ever logged, and follows it; read-only but for privileged users. */
export async function replicate(replica: TestMysql, primary: TestMysql): Promise<void> {
  const { host, port, user, password } = primary;
  await replica.sql('SET GLOBAL read_only = 1');
  if (replica.kind === 'mysql-9.7') {
    await replica.sql(`CHANGE REPLICATION SOURCE TO SOURCE_HOST = '${host}', SOURCE_PORT = ${port}, SOURCE_USER = '${user}', SOURCE_PASSWORD = '${password}', SOURCE_AUTO_POSITION = 1, GET_SOURCE_PUBLIC_KEY = 1, SOURCE_CONNECT_RETRY = 1; START REPLICA`);
  } else {
    await replica.sql(`CHANGE MASTER TO MASTER_HOST = '${host}', MASTER_PORT = ${port}, MASTER_USER = '${user}', MASTER_PASSWORD = '${password}', MASTER_USE_GTID = slave_pos, MASTER_CONNECT_RETRY = 1; START SLAVE`);
  }
}

/** Resolves when the replica has all that the primary has now. */
export async function untilReplicated(replica: TestMysql, primary: TestMysql): Promise<void> {
  const isMysql = replica.kind === 'mysql-9.7';
  const [row] = await primary.sql(isMysql ? 'SELECT @@GLOBAL.gtid_executed AS gtids' : 'SELECT @@GLOBAL.gtid_binlog_pos AS gtids');
  const gtids = row?.['gtids'] ?? '';
  const [waited] = await replica.sql(isMysql ? `SELECT WAIT_FOR_EXECUTED_GTID_SET('${gtids}', 60) AS missed` : `SELECT MASTER_GTID_WAIT('${gtids}', 60) AS missed`);
  if (waited?.['missed'] !== '0') throw new Error(`the replica does not follow: ${JSON.stringify(await replica.sql(isMysql ? 'SHOW REPLICA STATUS' : 'SHOW SLAVE STATUS'))}`);
}

export async function promote(replica: TestMysql): Promise<void> {
  await replica.sql(replica.kind === 'mysql-9.7' ? 'STOP REPLICA; RESET REPLICA ALL' : 'STOP SLAVE; RESET SLAVE ALL');
  await replica.sql('SET GLOBAL read_only = 0');
}
