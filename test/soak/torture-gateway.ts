/**
 * The gateway of the torture run, with tables in several states, one of which changes sides all the time, and what can be asked of it: how much it keeps, and
 * what a session waits for. In this process for the test; as a child process of its own (`torture-worker.ts`) where its memory is measured.
 */
import { setTimeout as delay } from 'node:timers/promises';
import * as v8 from 'node:v8';
import * as vm from 'node:vm';
import { relationKey } from '../../catalog/routing-snapshot.ts';
import { FactsCache } from '../../grammar/sql/facts-cache.ts';
import { loadSqlParser } from '../../grammar/sql/parser.ts';
import { ClientSession } from '../../src/session/client-session.ts';
import { Handshake } from '../../src/session/handshake.ts';
import { Leg } from '../../src/session/leg.ts';
import { OpenTransaction } from '../../src/execute/open-transaction.ts';
import { Segment } from '../../src/execute/segment.ts';
import { VisibilityWait } from '../../src/execute/visibility-wait.ts';
import { dualWrite, onLocal, onSource, startGateway } from '../session/gateway-fixture.ts';
import { sessionPooling } from '../../src/session/pool/pools.ts';
import type { PoolOptions } from '../../src/session/pool/pools.ts';
import type { TestPostgres } from '../support/postgres.ts';

export const MARK = 'causeway_torture_';
const FLIP_EVERY_MS = 70;
const VISIBLE_EVERY_MS = 5;
const BARRIER_LOOKS = 100;
/** Full soon, so that what is kept of texts does not look like a leak. */
const FACTS_BYTES = 1 << 20;

export interface Sample {
  readonly sessions: number;
  readonly localLegs: number;
  /** Objects of each class that are still referred to. */
  readonly objects: Readonly<Record<string, number>>;
  /** Of the sessions that live: entries of their maps, all together. */
  readonly portals: number;
  readonly cursors: number;
  readonly heapBytes: number;
  readonly externalBytes: number;
  readonly rssBytes: number;
}

export interface TortureGateway {
  readonly port: number;
  sample(): Promise<Sample>;
  /** What the session whose home leg is this backend waits for. */
  describe(pid: number): Promise<string>;
  stop(): Promise<void>;
}

export async function startTortureGateway(source: TestPostgres['address'], local: TestPostgres['address'], pools: PoolOptions = sessionPooling): Promise<TortureGateway> {
  const sessions = new Set<WeakRef<ClientSession>>();
  const forget = rememberSessions(sessions);
  const parser = await loadSqlParser();
  const fixture = await startGateway(source, local, { pools, limits: { visibilityWaitMs: 5_000 }, facts: new FactsCache(parser, { maxBytes: FACTS_BYTES }) });
  const { gateway, control } = fixture;
  const publish = (flip: typeof onLocal): void => {
    // What is counted here would grow for ever.
    control.routes.length = 0;
    const tables = { on_source: onSource, marks_source: onSource, on_dual: dualWrite, marks_dual: dualWrite, on_local: onLocal, marks_local: onLocal, on_flip: flip };
    control.publish(tables, { twoPhase: { sides: ['source', 'local'], mark: MARK } });
  };
  publish(onSource);
  control.autoVisible = false;
  const ways = [onSource, dualWrite, onLocal];
  let stopped = false;
  // Every other time behind a barrier, as the control does it, else without one: what is open then goes on where it has begun.
  const flipping = (async () => {
    for (let turn = 1; !stopped; turn += 1) {
      if (turn % 2 === 0) {
        publish({ ...ways[(turn - 1) % ways.length], quiescing: true });
        const { epoch } = control.snapshot;
        for (let look = 0; look < BARRIER_LOOKS && gateway.quiesceReport([relationKey('public', 'on_flip')], epoch).holding.length > 0; look += 1) await delay(VISIBLE_EVERY_MS);
      }
      publish(ways[turn % ways.length] ?? onSource);
      await delay(FLIP_EVERY_MS);
    }
  })();
  const showing = setInterval(() => control.makeVisible(), VISIBLE_EVERY_MS);
  const living = (): ClientSession[] => [...sessions].flatMap((reference) => reference.deref() ?? []).filter(({ ended }) => !ended);
  return {
    port: gateway.port,
    sample: async () => {
      await collect();
      for (const reference of sessions) if (!reference.deref()) sessions.delete(reference);
      const { heapUsed, external, rss } = process.memoryUsage();
      return {
        sessions: gateway.sessions, localLegs: gateway.legs.local, objects: liveObjects(),
        portals: sumOf(living(), ({ portals }) => portals.size), cursors: sumOf(living(), ({ cursors }) => cursors.size),
        heapBytes: heapUsed, externalBytes: external, rssBytes: rss,
      };
    },
    describe: (pid) => Promise.resolve(describe(living().find(({ home }) => home.pid === pid))),
    stop: async () => {
      stopped = true;
      await flipping;
      clearInterval(showing);
      forget();
      await fixture[Symbol.asyncDispose]();
      await parser[Symbol.asyncDispose]();
    },
  };
}

/** Sessions are the gateway's own; whoever looks into them from outside has to be there when they start. */
function rememberSessions(sessions: Set<WeakRef<ClientSession>>): () => void {
  const { start } = ClientSession.prototype;
  ClientSession.prototype.start = function (early): void {
    sessions.add(new WeakRef(this));
    start.call(this, early);
  };
  return () => {
    ClientSession.prototype.start = start;
  };
}

const sumOf = (sessions: readonly ClientSession[], of: (session: ClientSession) => number): number => sessions.reduce((sum, session) => sum + of(session), 0);

function liveObjects(): Record<string, number> {
  const classes = { ClientSession, Handshake, Leg, OpenTransaction, Segment, VisibilityWait };
  return Object.fromEntries(Object.entries(classes).map(([name, of]) => [name, v8.queryObjects(of as unknown as new () => unknown, { format: 'count' })]));
}

/** Twice, with a turn of the loop in between: what finalizers let go goes with the second. */
export async function collect(): Promise<void> {
  v8.setFlagsFromString('--expose-gc');
  const gc = vm.runInNewContext('gc') as () => void;
  gc();
  await new Promise((resolve) => setTimeout(resolve, 20));
  gc();
}

function describe(session: ClientSession | undefined): string {
  if (!session) return 'the gateway has no such session';
  const inside = session as unknown as { readonly waiting: unknown; readonly scanner: { readonly paused: boolean; readonly buffered: number }; readonly socket: { isPaused(): boolean; readonly writableLength: number } };
  const legs = [session.home, session.local].flatMap((leg) => (leg ? [{
    side: leg.side, pid: leg.pid, status: leg.status, clientSegments: leg.clientSegments, writeBlocked: leg.writeBlocked,
    segments: leg.segments.slice(0, 5).map(({ closed, failed, plain, after, swallowReady, internal, parsesSent, bindsSent }) => ({ closed, failed, plain, after, swallowReady, internal: internal !== undefined, parsesSent, bindsSent })),
  }] : []));
  return JSON.stringify({
    waiting: inside.waiting ?? null, drained: session.drained, holding: session.holding, exclusive: session.exclusive, scanner: { paused: inside.scanner.paused, buffered: inside.scanner.buffered },
    client: { paused: inside.socket.isPaused(), unsent: inside.socket.writableLength }, unit: { leg: session.unit.leg?.side, open: session.unit.segment !== undefined, executed: session.unit.executed, skipping: session.unit.skipping },
    tx: session.tx && { begun: session.tx.begun, wrote: session.tx.wrote, failedOn: session.tx.failedOn, after: session.tx.after }, lastStatement: session.lastStatement.slice(0, 100), legs,
  });
}
