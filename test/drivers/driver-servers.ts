/**
 * Where a driver's programs run: straight at a server, or through a gateway between two. Each way has servers of its own, so that no run sees what
 * another has left.
 */
import { createAskSide } from '../../src/main/ask-side.ts';
import { onLocal, startGateway } from '../session/gateway-fixture.ts';
import { startTestPostgres } from '../support/postgres.ts';

/**
 * `direct`: no gateway. `nothing`: no table is migrated, everything passes. `elsewhere`: a table that the programs do not use is on local, so blocks are
 * answered by the gateway's own transaction control. `tables`: tables that they do use are on local too.
 */
export const throughWays = ['nothing', 'elsewhere', 'tables'] as const;
export type Way = 'direct' | (typeof throughWays)[number];
/** Of whole suites of drivers `npm test` runs the way that has the most in it; `CAUSEWAY_CRASH=all` (`npm run soak`) all of them. */
export const suiteWays: readonly Exclude<Way, 'direct'>[] = process.env['CAUSEWAY_CRASH'] === 'all' ? throughWays : ['tables'];

export interface Target {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly database: string;
}

export interface ServerOptions {
  /** Run on both servers beforehand. */
  readonly setup?: string;
  /** Tables of schema public that `tables` puts on local. */
  readonly tables: readonly string[];
}

/** A lock that two sessions of a failed test hold against each other must not hold up the rest. */
const settings = { shared_buffers: '32MB', max_connections: 200, jit: 'off', lock_timeout: '5s' };

/** Starts what the way needs, and stops it when `run` has ended. */
export async function withServers<T>(way: Way, { setup, tables }: ServerOptions, run: (target: Target) => Promise<T>): Promise<T> {
  await using source = await startTestPostgres({ settings });
  if (setup !== undefined) await (await source.client()).query(setup);
  if (way === 'direct') return await run(source.address);
  await using local = await startTestPostgres({ settings });
  // Two servers do not number their tables alike.
  await (await local.client()).query(`CREATE TABLE first_here(); ${setup ?? ''}`);
  await using sides = createAskSide({ source: source.address, local: local.address });
  await using fixture = await startGateway(source.address, local.address, { askSide: sides.ask });
  const moved = { nothing: [], elsewhere: ['moved_elsewhere'], tables: ['moved_elsewhere', ...tables] }[way];
  fixture.control.publish(Object.fromEntries(moved.map((name) => [name, onLocal])));
  return await run({ ...source.address, port: fixture.gateway.port });
}

/** One run directly and one per way, two at a time: driver suites mostly sleep. */
export async function inEveryWay<T>(options: ServerOptions, run: (target: Target, way: Way) => Promise<T>, ways: readonly Way[] = throughWays): Promise<ByWay<T>> {
  return await twoAtATime(ways, (way) => withServers(way, options, (target) => run(target, way)));
}

/** What `one` gives directly and for each of the ways. */
export async function twoAtATime<T>(ways: readonly Way[], one: (way: Way) => Promise<T>): Promise<ByWay<T>> {
  const outputs = new Map<Way, T>();
  const run = async (way: Way | undefined): Promise<unknown> => way && outputs.set(way, await one(way));
  const all: readonly Way[] = ['direct', ...ways];
  for (let at = 0; at < all.length; at += 2) await bothEnded(run(all[at]), run(all[at + 1]));
  return (way) => {
    if (!outputs.has(way)) throw new Error(`no run of the way '${way}'`);
    return outputs.get(way) as T;
  };
}

/** What a way has given. */
export type ByWay<T> = (way: Way) => T;

/** As `Promise.all`, but a failure of one does not leave the other behind with its servers. */
export async function bothEnded<A, B>(one: Promise<A>, other: Promise<B>): Promise<[A, B]> {
  await Promise.allSettled([one, other]);
  return Promise.all([one, other]);
}

/** For libpq and the drivers that read its variables. Those of the caller would lead elsewhere and are left out. */
export function environmentOf(target: Target): Record<string, string> {
  const inherited = Object.entries(process.env).filter((entry): entry is [string, string] => entry[1] !== undefined && !/^PG[A-Z]/.test(entry[0]));
  return { ...Object.fromEntries(inherited), PGHOST: target.host, PGPORT: String(target.port), PGUSER: target.user, PGDATABASE: target.database, PGSSLMODE: 'disable' };
}
