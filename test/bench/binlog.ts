/**
 * Changes read per second from a backlog in a binlog, in a process of its own, with its processor time and memory; on MySQL 9.7 beside `mysqlbinlog -v`,
 * which prints the same rows as text. Run: `node test/bench/binlog.ts [changes] [changes per transaction, …] [servers, …]`; prints a table, then
 * one line of JSON.
 */
import { spawn } from 'node:child_process';
import * as path from 'node:path';
import { readBinlogEnd } from '../../cdc/mysql/binlog/begin-dump.ts';
import { ReplicaConnection } from '../../cdc/mysql/binlog/replica-connection.ts';
import type { MysqlPosition } from '../../cdc/mysql/position.ts';
import { commandOf, folderOf } from '../servers/debian-server-folder.ts';
import { isMysqlInstalled, mysqlKinds, startMysql } from '../support/mysql-servers.ts';
import type { MysqlKind, TestMysql } from '../support/mysql-servers.ts';
import type { ReadFigure, ReadJob } from './binlog-worker.ts';
import { changeItems, fillItems, serverSettings } from './mysql/item-table.ts';

interface Figure extends ReadFigure {
  readonly kind: MysqlKind;
  readonly changesPerTransaction: number;
  readonly changesPerSecond: number;
  /** Undefined where there is none for this server. */
  readonly peerPerSecond: number | undefined;
}

export async function run(changes = 500_000, sizes: readonly number[] = [1, 10, 100_000], kinds: readonly MysqlKind[] = mysqlKinds): Promise<void> {
  const figures: Figure[] = [];
  for (const kind of kinds.filter(isMysqlInstalled)) {
    await using server = await startMysql(kind, { settings: serverSettings(kind) });
    for (const [index, size] of sizes.entries()) figures.push(await measure(server, `round${index}`, changes, size));
  }
  process.stdout.write('server          changes/transaction   changes/s   mysqlbinlog -v   processor s   memory MB\n');
  for (const { kind, changesPerTransaction, changesPerSecond, peerPerSecond, processorSeconds, maxRssMb } of figures) {
    process.stdout.write(`${kind.padEnd(16)}${String(changesPerTransaction).padStart(19)}${String(changesPerSecond).padStart(12)}${String(peerPerSecond ?? '–').padStart(17)}${processorSeconds.toFixed(2).padStart(14)}${maxRssMb.toFixed(0).padStart(12)}\n`);
  }
  process.stdout.write(`${JSON.stringify({ bench: 'binlog', changes, figures })}\n`);
}

async function measure(server: TestMysql, database: string, changes: number, size: number): Promise<Figure> {
  const { kind, host, port, user, password } = server;
  await server.createDatabase(database);
  await fillItems(server, database);
  await server.sql('FLUSH BINARY LOGS');
  const start = await endOf(server);
  await changeItems(server, database, changes, size);
  const end = await endOf(server);
  const figure = await runWorker({ address: { host, port, user, password }, start, end, database });
  if (figure.changes !== changes) throw new Error(`${figure.changes} changes were read, not ${changes}`);
  const rate = (seconds: number): number => Math.round(changes / seconds);
  const peerSeconds = await runPeer(server, start, end);
  return { ...figure, kind, changesPerTransaction: size, changesPerSecond: rate(figure.seconds), peerPerSecond: peerSeconds === undefined ? undefined : rate(peerSeconds) };
}

async function endOf({ host, port, user, password }: TestMysql): Promise<MysqlPosition> {
  const connection = await ReplicaConnection.open({ host, port, user, password });
  try {
    return await readBinlogEnd(connection);
  } finally {
    connection.close();
  }
}

/** In a process of its own, so that its memory is the reader's alone; its start is not counted, the connection is. */
async function runWorker(job: ReadJob): Promise<ReadFigure> {
  const output = await runProgram(process.execPath, [path.join(import.meta.dirname, 'binlog-worker.ts'), JSON.stringify(job)], 'pipe');
  return JSON.parse(output) as ReadFigure;
}

/** Seconds. */
async function runPeer({ kind, host, port, user, password }: TestMysql, start: MysqlPosition, end: MysqlPosition): Promise<number | undefined> {
  // It can log in to no other.
  if (kind !== 'mysql-9.7') return undefined;
  const [program = '', ...before] = commandOf(folderOf('mysql-9.7').tree, 'usr/bin/mysqlbinlog');
  const started = performance.now();
  await runProgram(program, [...before, '--no-defaults', '--read-from-remote-server', '--verbose', '--base64-output=decode-rows', `--host=${host}`, `--port=${port}`, `--user=${user}`, `--password=${password}`,
    `--start-position=${start.binlogPosition}`, `--stop-position=${end.binlogPosition}`, ...filesBetween(start.binlogFile, end.binlogFile)], 'ignore');
  return (performance.now() - started) / 1000;
}

function filesBetween(first: string, last: string): string[] {
  const dot = first.lastIndexOf('.') + 1;
  const [from, to] = [Number(first.slice(dot)), Number(last.slice(dot))];
  return Array.from({ length: to - from + 1 }, (_, index) => first.slice(0, dot) + String(from + index).padStart(first.length - dot, '0'));
}

function runProgram(program: string, args: readonly string[], output: 'pipe' | 'ignore'): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['ignore', output, 'pipe'] });
    let printed = '';
    let complaints = '';
    child.stdout?.on('data', (chunk: Buffer) => (printed += chunk.toString()));
    child.stderr?.on('data', (chunk: Buffer) => (complaints += chunk.toString()));
    child.once('error', reject);
    child.once('close', (code) => (code === 0 ? resolve(printed) : reject(new Error(`${path.basename(program)} ended with ${code}: ${complaints.slice(-500)}`))));
  });
}

if (process.argv[1]?.endsWith('binlog.ts') === true) {
  const [, , changes, sizes, kinds] = process.argv;
  await run(Number(changes ?? 500_000), sizes?.split(',').map(Number), kinds === undefined ? undefined : mysqlKinds.filter((kind) => kinds.split(',').includes(kind)));
}
