/** What is found of a table before it is moved to another cluster, and what stands in the way of a cutover. */
import type { TableRecord } from '../../../catalog/records.ts';
import { assertSameShape, printTable, quoteTable, readTable } from '../../../cdc/cassandra/table.ts';
import type { CassandraTable, TableName } from '../../../cdc/cassandra/table.ts';
import { MigrationError } from '../../../config/migration-error.ts';
import type { ErrorCode } from '../../../config/migration-error.ts';
import { lossOfHold } from './assert-held.ts';
import { clusterTrouble } from './cluster-connections.ts';
import type { Clusters } from './cluster-connections.ts';
import { clusterName, tableOf } from './cluster-context.ts';
import type { ClusterContext } from './cluster-context.ts';
import { readsTarget } from './proxy-port.ts';
import type { TableAtProxy } from './proxy-port.ts';

export interface ClusterFinding {
  readonly severity: 'error' | 'warning';
  readonly code: ErrorCode;
  readonly subject: string;
  readonly message: string;
  readonly remedy: string;
}

/** Loading, waiting and catching up take their time; deletions have to be remembered as long. */
const SHORT_GRACE_SECONDS = 6 * 3600;

export async function checkClusterTable(context: Pick<ClusterContext, 'connections' | 'proxy' | 'strangers'>, name: TableName): Promise<readonly ClusterFinding[]> {
  const findings: ClusterFinding[] = [];
  const table = printTable(name);
  if (context.strangers > 0) {
    findings.push({ severity: 'error', code: 'MIG074', subject: 'cql.group', message: `is missing, and cql.topology names ${context.strangers + 1} proxies: migration SQL would switch this one only`, remedy: 'Give all of them the section cql.group, with the addresses where they reach each other.' });
  }
  const clusters = await context.connections.clusters();
  const [source, target] = await Promise.all([described(clusters, 'source', name), described(clusters, 'target', name)]);
  if (source instanceof MigrationError) return [...findings, ofError(source, table, 'Check the spelling and the keyspace.')];
  if (target instanceof MigrationError) return [...findings, ofError(target, table, 'Create it on the target as it is on the source.')];
  if (source.isCounter) {
    findings.push({ severity: 'warning', code: 'MIG012', subject: table, message: 'has counters: they have no times, so while it is loaded and validated its requests wait for short moments, in which both clusters are read together', remedy: 'START in a quiet hour if that matters; no request is refused by it.' });
  }
  findings.push(...shapeFindings(source, target), ...graceFindings(target), ...(await rowFindings(clusters, target)), ...proxyFindings(await context.proxy.table(table), table));
  return findings;
}

async function described(clusters: Clusters, side: 'source' | 'target', name: TableName): Promise<CassandraTable | MigrationError> {
  try {
    return await readTable(clusters[side], name);
  } catch (error) {
    if (error instanceof MigrationError && error.code === 'MIG010') return error;
    throw clusterTrouble(error);
  }
}

function ofError({ code, message, detail }: MigrationError, subject: string, remedy: string): ClusterFinding {
  return { severity: 'error', code, subject, message: `${message.replace(/^MIG\d+: /, '')}${detail === undefined ? '' : ` ${detail}`}`, remedy };
}

function shapeFindings(source: CassandraTable, target: CassandraTable): readonly ClusterFinding[] {
  try {
    assertSameShape(source, target);
    return [];
  } catch (error) {
    if (!(error instanceof MigrationError)) throw error;
    return [ofError(error, printTable(source), error.hint)];
  }
}

function graceFindings(target: CassandraTable): readonly ClusterFinding[] {
  if (target.gcGrace >= SHORT_GRACE_SECONDS) return [];
  return [{ severity: 'warning', code: 'MIG074', subject: printTable(target), message: `has gc_grace_seconds = ${target.gcGrace} on the target: a row that was deleted may come back by a write that is loaded or replayed later than that`, remedy: `ALTER TABLE ${printTable(target)} WITH gc_grace_seconds = 864000, on the target, until the migration is complete` }];
}

async function rowFindings({ target: cluster }: Clusters, target: CassandraTable): Promise<readonly ClusterFinding[]> {
  const rows = await cluster.run(`SELECT * FROM ${quoteTable(target)} LIMIT 1`).catch((error: unknown) => {
    throw clusterTrouble(error);
  });
  if (rows.length === 0) return [];
  return [{ severity: 'warning', code: 'MIG074', subject: printTable(target), message: 'has rows on the target already; what the source does not have stays there', remedy: 'TRUNCATE it on the target before, or VALIDATE MIGRATION … REPAIR COPY_FROM_SOURCE after the load.' }];
}

function proxyFindings(at: TableAtProxy, name: string): readonly ClusterFinding[] {
  const findings: ClusterFinding[] = [];
  if (at.modes.some(readsTarget)) findings.push({ severity: 'error', code: 'MIG074', subject: name, message: `is in mode ${at.modes.join(' and ')}: the target answers for it already`, remedy: 'POST /config/mode leads back, by DualSync.' });
  if (at.refusal !== null) findings.push({ severity: 'error', code: 'MIG085', subject: 'cql.intents', message: `the log of owed writes takes none (${at.refusal})`, remedy: 'Free its disk, or wait until the target has taken what it is owed.' });
  for (const [index, side] of (['source', 'target'] as const).entries()) if (at.isReachable[index] === false && (side === 'source' || at.modes.some((mode) => mode !== 'SourceOnly'))) findings.push({ severity: 'warning', code: 'MIG001', subject: side, message: `the proxy has no connection to the ${side} cluster`, remedy: 'Look at the cluster, and at the log of the proxy.' });
  return findings;
}

export interface ClusterBlocking {
  readonly code: ErrorCode;
  readonly condition: string;
  readonly remedy: string;
}

/** Empty: CUTOVER may be. The proxy looks once more in the moment of the switch. */
export async function blockingCutover(context: ClusterContext, record: TableRecord, isForced: boolean): Promise<readonly ClusterBlocking[]> {
  const name = clusterName(record);
  if (record.state === 'LOCAL_ONLY') return [{ code: 'MIG074', condition: 'it is LOCAL_ONLY already', remedy: `COMPLETE MIGRATION FOR TABLE ${name};` }];
  const blocking: ClusterBlocking[] = [];
  const at = await context.proxy.table(name);
  const lost = lossOfHold(at, record, ['DualAsync', 'DualSync']);
  const validation = await context.catalog.lastValidation(record.tableId);
  if (record.state !== 'CUTOVER_READY' && record.state !== 'DUAL_WRITE') blocking.push({ code: 'MIG050', condition: `it is ${record.state}`, remedy: `SHOW MIGRATION WHY FOR TABLE ${name};` });
  else if (lost) blocking.push({ code: 'MIG024', condition: lost.message.replace(/^MIG\d+: /, ''), remedy: lost.hint });
  else if (record.state === 'DUAL_WRITE' && !isForced) {
    const found = validation?.passed === false ? `the last validation found ${validation.mismatchedRows} rows that differ and ${validation.unsettledRows} that kept changing` : 'it has not been validated since both clusters are written';
    blocking.push({ code: 'MIG050', condition: found, remedy: `VALIDATE MIGRATION FOR TABLE ${name} FULL;` });
  }
  blocking.push(...ofProxy(at, name), ...(await ofTables(context, record, at)));
  return blocking;
}

function ofProxy(at: TableAtProxy, name: string): readonly ClusterBlocking[] {
  const found: ClusterBlocking[] = [];
  const add = (isSo: boolean, condition: string, remedy: string): void => {
    if (isSo) found.push({ code: 'MIG050', condition, remedy });
  };
  add(at.queued > 0, `${at.queued} of its writes are queued for a cluster`, 'wait; SHOW MIGRATION STATUS shows the queue');
  add(at.repairs > 0, `${at.repairs} of its writes wait for a repair: the clusters may differ in their rows`, `VALIDATE MIGRATION FOR TABLE ${name} FULL REPAIR COPY_FROM_SOURCE;`);
  add(!at.isRepairListWhole, 'the repair list of the proxy is damaged', 'validate every table, then move repairs.jsonl away while the proxy is stopped');
  add(at.damages > 0, `${at.damages} places of the log of owed writes are damaged: writes may be on one cluster only`, 'validate every table, then remove the files that are called .damaged');
  add(!at.isReachable[0], 'the source cluster cannot be reached', 'it is the way back');
  add(!at.isReachable[1], 'the target cluster cannot be reached', 'look at the cluster');
  add(at.refusal !== null, `the log of owed writes takes none (${at.refusal ?? ''})`, 'free its disk');
  return found;
}

async function ofTables({ connections }: ClusterContext, record: TableRecord, at: TableAtProxy): Promise<readonly ClusterBlocking[]> {
  if (!at.isReachable[0] || !at.isReachable[1]) return [];
  const clusters = await connections.clusters();
  const [source, target] = await Promise.all([described(clusters, 'source', tableOf(record)), described(clusters, 'target', tableOf(record))]);
  const missing = [source, target].find((side) => side instanceof MigrationError);
  if (source instanceof MigrationError || target instanceof MigrationError) return [{ code: 'MIG010', condition: missing instanceof MigrationError ? missing.message.replace(/^MIG\d+: /, '') : 'it is missing', remedy: 'ABORT MIGRATION, if it was dropped' }];
  const found: ClusterBlocking[] = shapeFindings(source, target).map(({ code, message, remedy }) => ({ code, condition: message, remedy }));
  const grace = Math.min(source.gcGrace, target.gcGrace);
  if (at.oldestQueuedMs / 1000 >= grace) found.push({ code: 'MIG050', condition: `a write has been queued for ${Math.round(at.oldestQueuedMs / 1000)} s, longer than gc_grace_seconds = ${grace}: what was deleted meanwhile may come back`, remedy: 'wait until it is sent, then VALIDATE MIGRATION … FULL' });
  return found;
}
