/**
 * Every named fault point of a table's life, by the phase in which it is passed. A point that is not in the product makes the
 * crash test fail ("nothing came to the fault point"), one that is missing here makes `crash-points.test.ts` fail.
 */
import type { Victim } from './support/stack.ts';

export type Phase = 'load' | 'stream' | 'cutover' | 'rollback' | 'abort';

export const crashPoints: Readonly<Record<Phase, readonly string[]>> = {
  load: [
    'load.after_create_table', 'load.after_capture', 'load.before_chunk', 'load.mid_chunk', 'load.before_chunk_commit', 'load.after_chunk_commit',
    'load.before_key_build', 'load.done', 'load.after_key', 'load.synchronizing', 'sync.after_consistency', 'sync.after_indexes',
    'stream.join_shared', 'stream.reread', 'sync.after_shared', 'dual_write.after_waiting', 'dual_write.after_marker', 'dual_write.entered',
  ],
  stream: ['stream.after_decode', 'stream.before_commit', 'stream.after_commit', 'stream.before_spool_fsync', 'stream.after_spool_fsync', 'stream.before_confirm', 'stream.write_back'],
  cutover: [
    'cutover.begun', 'cutover.reverse_ready', 'cutover.quiesced', 'cutover.fenced', 'cutover.drained', 'cutover.sequences', 'cutover.released_local',
    'cutover.committed', 'cutover.published', 'cutover.reported',
  ],
  rollback: [
    'rollback.begun', 'rollback.reverse_ready', 'rollback.quiesced', 'rollback.guarded', 'rollback.drained', 'rollback.sequences',
    'rollback.released_source', 'rollback.committed', 'rollback.published', 'rollback.reported',
  ],
  abort: ['abort.after_leave', 'abort.after_cleanup'],
};

/** Of tables of clusters: `cql-sql.test.ts`. */
export const clusterPoints: readonly string[] = [
  'cql.load.after_switch', 'cql.load.done', 'cql.cutover.begun', 'cql.cutover.in_sync', 'cql.cutover.switched', 'cql.rollback.in_sync', 'cql.rollback.switched', 'cql.rollback.source_only', 'cql.complete.switched',
];
/** Of several CQL proxies that change together which cluster is read: `cql-group.test.ts`. */
export const groupPoints: readonly string[] = ['cql.group.prepared', 'cql.group.decided', 'cql.group.committed'];
/** Of commits over both sides: `two-sides.test.ts` and `mysql-two-sides.test.ts` crash at them. */
export const commitPoints: readonly string[] = ['commit.prepared', 'commit.decided', 'commit.finished'];
/** Of commits that take their rows to local: `two-phase.test.ts`. */
export const markedCommitPoints: readonly string[] = ['commit.rows_written', 'commit.rows_decided', 'commit.rows_finished'];

/** That a commit of a dual-written table waits for. */
export const waitPoints: readonly string[] = ['stream.before_commit', 'stream.after_commit'];

export const allPoints: readonly string[] = Object.values(crashPoints).flat();

export interface CrashCase {
  readonly phase: Phase;
  readonly point: string;
}

export const allCases: readonly CrashCase[] = (Object.keys(crashPoints) as Phase[]).flatMap((phase) => crashPoints[phase].map((point) => ({ phase, point })));

/**
 * The cases of one victim in a run that has minutes, not half an hour: every point with at least one victim, three in five with
 * the control process, which has the most to recover, and the others spread over every phase.
 */
export function sampleCases(victim: Victim): readonly CrashCase[] {
  const others: readonly Victim[] = ['worker', 'source', 'local'];
  return allCases.filter((_, index) => (victim === 'control' ? index % 5 < 3 : index % 5 > 1 && others[index % others.length] === victim));
}

/** One MySQL database: a kill on its way into DUAL_WRITE, one while the stream runs, one inside CUTOVER. */
export interface MysqlCase {
  readonly load: Kill;
  readonly stream: Kill;
  readonly cutover: Kill;
}

/** A table that goes to local and comes back: a kill inside CUTOVER, one while local's changes go back, one inside ROLLBACK. */
export interface MysqlReturn {
  readonly cutover: Kill;
  readonly stream: Kill;
  readonly rollback: Kill;
}

export interface Kill {
  readonly victim: Victim;
  readonly point: string;
}

/** Row images of MySQL are whole, and in these cases no row of local wins (`test/cdc/mysql/conflicts.test.ts` has that crash). */
const neverOfMysql: ReadonlySet<string> = new Set(['stream.reread', 'stream.write_back']);
const mysqlCrashPoints = (phase: Phase): readonly string[] => crashPoints[phase].filter((point) => !neverOfMysql.has(point));

export const mysqlPoints: readonly string[] = (['load', 'stream', 'cutover', 'rollback'] as const).flatMap(mysqlCrashPoints);
const victims: readonly Victim[] = ['control', 'worker', 'source', 'local'];
const at = (points: readonly string[], index: number): string => points[index % points.length] ?? '';

/** Every victim at every point; or two cases, in which each victim is killed once. */
export function mysqlCases(isWhole: boolean): readonly MysqlCase[] {
  if (!isWhole) return sampleMysqlCases;
  const [loads, streams, cutovers] = [mysqlCrashPoints('load'), mysqlCrashPoints('stream'), mysqlCrashPoints('cutover')];
  return victims.flatMap((victim) => loads.map((point, index) => ({ load: { victim, point }, stream: { victim, point: at(streams, index) }, cutover: { victim, point: at(cutovers, index) } })));
}

/** Every victim at every point of a rollback, and in the cutover before it; or one case. */
export function mysqlReturns(isWhole: boolean): readonly MysqlReturn[] {
  if (!isWhole) return sampleMysqlReturns;
  const [streams, cutovers, rollbacks] = [mysqlCrashPoints('stream'), mysqlCrashPoints('cutover'), mysqlCrashPoints('rollback')];
  return victims.flatMap((victim) => rollbacks.map((point, index) => ({ cutover: { victim, point: at(cutovers, index) }, stream: { victim, point: at(streams, index) }, rollback: { victim, point } })));
}

const sampleMysqlReturns: readonly MysqlReturn[] = [
  { cutover: { victim: 'local', point: 'cutover.committed' }, stream: { victim: 'source', point: 'stream.before_commit' }, rollback: { victim: 'control', point: 'rollback.released_source' } },
];

const sampleMysqlCases: readonly MysqlCase[] = [
  { load: { victim: 'control', point: 'load.mid_chunk' }, stream: { victim: 'local', point: 'stream.after_commit' }, cutover: { victim: 'source', point: 'cutover.fenced' } },
  { load: { victim: 'source', point: 'load.before_chunk_commit' }, stream: { victim: 'worker', point: 'stream.before_commit' }, cutover: { victim: 'control', point: 'cutover.released_local' } },
];
