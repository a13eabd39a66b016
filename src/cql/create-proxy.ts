/** The proxy as a whole: its listener, its clusters, what its sessions share, and the clock that looks after what is overdue. */
import * as net from 'node:net';
import * as tls from 'node:tls';
import type { AddressInfo } from 'node:net';
import type { Runtime } from '../../config/runtime.ts';
import { ClientSession } from './client-session.ts';
import { concerns } from './frame-tables.ts';
import { Healer } from './healer.ts';
import { Intake } from './intake.ts';
import { plans, SOURCE_CLUSTER } from './modes.ts';
import type { ClusterIndex, ModeTable } from './modes.ts';
import { Flusher } from './outbox.ts';
import { PreparedRegistry } from './prepared-registry.ts';
import type { ProxyContext } from './proxy-context.ts';
import type { ClusterStats, ProxyStats } from './proxy-stats.ts';
import type { CqlProxy, CqlProxyOptions } from './proxy-options.ts';
import { ProxyCounts } from './proxy-stats.ts';
import { Replayer } from './replayer.ts';
import type { Request } from './request.ts';
import { RequestFlow } from './request-flow.ts';
import { requestKinds } from './request-kinds.ts';
import { RequestList } from './request-list.ts';
import { ReadSampler } from './read-sampler.ts';
import { ReadTexts } from './statement-traits.ts';
import { TableGates } from './table-gates.ts';
import { Timestamps } from './timestamps.ts';
import { TurnClock } from './turn-clock.ts';
import { UpstreamCluster } from './upstream-cluster.ts';
import type { ProxySink } from './upstream-cluster.ts';

const SWEEP_MS = 100;
const LAST_WAIT_MS = 2000;
/** Between two looks whether the requests of a held table have ended: clients wait meanwhile. */
const QUIET_LOOK_MS = 2;

export function createProxy(runtime: Pick<Runtime, 'clock' | 'log'>, options: CqlProxyOptions): CqlProxy {
  const { clock, log } = runtime;
  const counts = new ProxyCounts();
  const requests = new RequestList();
  const registry = new PreparedRegistry(options.limits.preparedBytes);
  const healer = new Healer(registry, counts);
  const flusher = new Flusher();
  const turn = new TurnClock(clock);
  const intake = new Intake(turn);
  // A write that a cluster may have stands in the log: it goes to disk before the turn's first byte leaves.
  flusher.before = () => options.intents.flush();
  const sessions = new Set<ClientSession>();
  const flow = new RequestFlow({
    log, intents: options.intents, requests, counts, healer, nowMs: () => turn.nowMs, requestTimeoutMs: options.requestTimeoutMs, shadowTimeoutMs: options.shadowTimeoutMs,
  });
  healer.legs = flow;
  const sink: ProxySink = {
    answered: (leg, buffer, start, end) => flow.answered(leg, buffer, start, end),
    lost: (leg, failure) => flow.lost(leg, failure),
    unsent: (leg, failure) => flow.unsent(leg, failure),
    retry: (leg) => flow.dispatch(leg),
    schemaEvent: (cluster, buffer, start, end) => {
      if (cluster === plans[context.modes.global].primary) for (const session of sessions) session.event(buffer, start, end);
    },
    described: (cluster, facts) => {
      if (cluster === SOURCE_CLUSTER) options.identity?.note(facts);
    },
  };
  const cluster = (index: ClusterIndex): UpstreamCluster => new UpstreamCluster(index, options.clusters[index], { clock, log, flusher, intake, limits: options.limits, counts: counts.cluster(index), sink });
  const context: ProxyContext = {
    options, clock, turn, log, flow, requests, registry, counts, flusher, intake, gates: new TableGates(), sampler: undefined, modes: options.modes, isTargetShown: false, port: options.listen.port,
    clusters: [cluster(0), cluster(1)], texts: new ReadTexts(), timestamps: options.timestamps ?? new Timestamps(clock),
  };
  const replayer = new Replayer(context, healer);
  if (options.sampling && options.sampling.share > 0) context.sampler = new ReadSampler(context, options.sampling);
  const server = options.tls ? tls.createServer(options.tls) : net.createServer({ noDelay: true });
  let sweeper: NodeJS.Timeout | undefined;

  const sweep = (): void => {
    turn.renew();
    for (const leg of requests.expired(turn.nowMs)) {
      // What was told of the ones before may have ended it, and begun another request with it.
      if (!leg.isOpen || leg.deadlineMs > turn.nowMs) continue;
      leg.request.pools?.[leg.cluster].forget(leg);
      healer.forget(leg);
      flow.timedOut(leg);
    }
    for (const one of context.clusters) one.sweep();
  };
  const accept = (socket: net.Socket): void => {
    if (sessions.size >= options.limits.clients) {
      counts.clientsRefused += 1;
      socket.destroy();
      return;
    }
    sessions.add(new ClientSession(context, socket, (session) => {
      sessions.delete(session);
      counts.clients = sessions.size;
    }));
    counts.clients = sessions.size;
  };
  server.on(options.tls ? 'secureConnection' : 'connection', accept);
  server.on('tlsClientError', (error) => log.info('a client has failed in its TLS handshake', { cause: error.message }));

  const statsOf = (one: UpstreamCluster): ClusterStats => ({ counts: one.counts, connections: one.connections, streamsInUse: one.streamsInUse, isReachable: one.isReachable });
  const until = async (isSo: () => boolean, limitMs: number): Promise<void> => {
    const end = clock.monotonicMs() + limitMs;
    while (!isSo() && clock.monotonicMs() < end) await clock.sleep(10);
  };

  return {
    get modes(): ModeTable {
      return context.modes;
    },
    setModes: (modes) => {
      context.modes = modes;
    },
    settled: async () => {
      const open = requests.snapshot();
      await until(() => open.every(({ request, serial }) => request.place < 0 || request.serial !== serial), Infinity);
    },
    hold: async (table, mostMs, limitMs, afterwards) => {
      const holding = context.gates.hold(table, limitMs, afterwards);
      const endMs = clock.monotonicMs() + mostMs;
      // What is read changes nothing; but after a change of the cluster that is read, nobody is answered by the other one any more.
      const isAwaited = ({ kind }: Request): boolean => afterwards === 'refusing' || kind !== requestKinds.read;
      let open = requests.snapshot().filter(({ request }) => isAwaited(request) && concerns(request, table, context.texts));
      for (;;) {
        open = open.filter(({ request, serial }) => request.place >= 0 && request.serial === serial);
        if (open.length === 0) return holding;
        if (clock.monotonicMs() >= endMs) break;
        await clock.sleep(QUIET_LOOK_MS);
      }
      context.gates.open(table, holding);
      return undefined;
    },
    refuse: (table) => context.gates.refuse(table),
    open: (table, holding) => context.gates.open(table, holding),
    listen: async () => {
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen(options.listen.port, options.listen.host, () => resolve());
      });
      context.port = (server.address() as AddressInfo).port;
      sweeper = setInterval(sweep, SWEEP_MS);
      return context.port;
    },
    close: async (graceMs = 0) => {
      const closed = new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
      context.sampler?.close();
      for (const session of sessions) session.drain();
      await until(() => requests.size === 0, graceMs);
      for (const one of context.clusters) one.close();
      // What has lost its connection by that is left to the log before this ends.
      await until(() => requests.size === 0, LAST_WAIT_MS);
      for (const session of sessions) session.close();
      clearInterval(sweeper);
      if (server.listening || sessions.size > 0) await closed;
    },
    replay: replayer,
    stats: (): ProxyStats => ({ counts, prepared: registry.size, awaitedWrites: requests.awaitedWrites, clusters: [statsOf(context.clusters[0]), statsOf(context.clusters[1])] }),
  };
}
