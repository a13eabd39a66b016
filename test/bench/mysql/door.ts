/** Part `door`: statements of MySQL clients straight to their server, through a bare byte pipe and through the gateway's MySQL front door. */
import { createHash } from 'node:crypto';
import { Stack } from '../../e2e/support/stack.ts';
import { startMysql } from '../../support/mysql-servers.ts';
import type { MysqlKind } from '../../support/mysql-servers.ts';
import { freePort } from '../../support/postgres.ts';
import { findTool } from '../../support/tools.ts';
import { figuresOf } from '../proxy/figures.ts';
import type { Series, Spread } from '../proxy/figures.ts';
import { startPipe } from '../proxy/peers.ts';
import { meter } from '../proxy/process-time.ts';
import { Rounds } from '../proxy/rounds.ts';
import type { Cell, Contender } from '../proxy/rounds.ts';
import { serverSettings } from './item-table.ts';
import { fillRows, runLoad } from './sysbench.ts';
import type { MysqlTarget } from './sysbench.ts';

export interface DoorOptions {
  readonly clients: readonly number[];
  readonly seconds: number;
  readonly rounds: number;
  readonly processes: number;
}

const database = 'sbtest';
const WARM_UP_SECONDS = 3;

/** Undefined where sysbench is not installed. */
export async function measureDoor(kind: MysqlKind, { clients, seconds, rounds, processes }: DoorOptions): Promise<readonly Series[] | undefined> {
  if (findTool('sysbench') === undefined) return undefined;
  await using server = await startMysql(kind, { settings: serverSettings(kind) });
  await server.createDatabase(database);
  const login = { user: server.user, password: server.password };
  const direct: MysqlTarget = { ...login, port: server.port, database };
  await fillRows(direct);
  const [port, pipePort] = [await freePort(), await freePort()];
  await using stack = await Stack.start({
    sourceSql: 'SELECT', workers: processes,
    settings: {
      mysql: { listen: { port }, server: { host: server.host, port: server.port } }, log: { level: 'warn' }, lease_ms: 3_000,
      users: [
        { name: 'operator', operator: true, trust_from: ['127.0.0.1/32'], source: { user: 'postgres' }, local: { user: 'postgres' } },
        // By the method that every version of sysbench's library knows.
        { name: 'app', password: 'right', mysql_native_hash: nativeHash('right'), source: { user: 'app' }, local: { user: 'app' }, mysql: login },
      ],
    },
  });
  await using started = new AsyncDisposableStack();
  const pipe = await startPipe(pipePort, server.port, processes, started);
  const contender = (name: string, target: MysqlTarget, pids: () => readonly number[], workers: () => readonly number[] = () => []): Contender => ({
    name, notPossible: () => undefined,
    measure: async (cell, round) => {
      const count = meter(pids(), workers());
      const figures = await runLoad(target, cell, seconds);
      return { round, ...figures, ...count(figures.transactions) };
    },
  });
  const contenders = [
    contender('direct', direct, () => []),
    contender('pipe', { ...direct, port: pipePort }, () => [pipe.pid ?? 0]),
    contender('gateway', { ...direct, port, user: 'app', password: 'right' }, () => [stack.product.pid ?? 0], () => stack.product.pids('worker')),
  ];
  const cells = ['text', 'prepared'].flatMap((mode) => clients.map((each): Cell => ({ workload: 'point-select', mode, clients: each })));
  // A Node.js process compiles what it meets often.
  for (const target of [{ ...direct, port: pipePort }, { ...direct, port, user: 'app', password: 'right' }]) for (const mode of ['text', 'prepared']) await runLoad(target, { workload: 'point-select', mode, clients: 8 }, WARM_UP_SECONDS);
  const measured = new Rounds();
  await measured.run(cells, contenders, rounds, new AbortController().signal);
  return measured.series;
}

/** As `mysql.user` has it. */
function nativeHash(password: string): string {
  const sha1 = (bytes: Buffer | string): Buffer => createHash('sha1').update(bytes).digest();
  return `*${sha1(sha1(password)).toString('hex').toUpperCase()}`;
}

export function printDoor(series: readonly Series[] | undefined): string {
  if (series === undefined) return 'sysbench: not installed (Debian package sysbench)';
  const show = (spread: Spread | undefined, digits = 0): string => (spread === undefined ? '–' : spread.median.toFixed(digits));
  const range = (spread: Spread | undefined): string => (spread === undefined ? '–' : `${spread.median.toFixed(2)} (${spread.min.toFixed(2)}–${spread.max.toFixed(2)})`);
  const lines = ['mode      clients  through  statements/s          of direct            of pipe   cpu µs/stmt   cpu of pipe   p50 µs   p99 µs'];
  for (const each of series) {
    const figures = figuresOf(each, series);
    const failed = each.failure === undefined ? '' : `   FAILED: ${each.failure}`;
    lines.push(`${each.mode.padEnd(10)}${String(each.clients).padStart(7)}  ${each.through.padEnd(7)}${show(figures.tps).padStart(14)}${range(figures.tpsOfDirect).padStart(19)}${range(figures.tpsOfPipe).padStart(19)}${show(figures.cpuUsPerStatement, 1).padStart(14)}${show(figures.cpuOfPipe, 2).padStart(14)}${show(figures.p50Us).padStart(9)}${show(figures.p99Us).padStart(9)}${failed}`);
  }
  return lines.join('\n');
}
