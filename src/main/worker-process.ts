/** Wires a gateway worker: link to the control, facts and routes, legs, the shared listening port. */
import { createHash } from 'node:crypto';
import type { Side } from '../../catalog/routing-snapshot.ts';
import { emptySnapshot } from '../../catalog/routing-snapshot.ts';
import type { ServerAddress } from '../../cdc/postgres/server-address.ts';
import { connectionLimits } from '../../config/connection-limits.ts';
import type { Settings, UserSettings } from '../../config/settings.ts';
import type { Runtime } from '../../config/runtime.ts';
import { FactsCache } from '../../grammar/sql/facts-cache.ts';
import { loadSqlParser } from '../../grammar/sql/parser.ts';
import type { PrometheusMetrics } from '../ops/prometheus.ts';
import { RouteCache } from '../route/route-cache.ts';
import { createGateway } from '../session/gateway.ts';
import type { Gateway } from '../session/gateway.ts';
import type { GatewaySurvey } from '../session/gateway-survey.ts';
import type { HoldingUnit } from '../session/control-port.ts';
import type { MysqlDoor } from '../session/mysql/mysql-door.ts';
import type { LegTarget } from '../session/leg-target.ts';
import type { GatewayLimits, LegConnector } from '../session/services.ts';
import type { UserEntry } from '../session/users.ts';
import { makeScramVerifier } from '../wire/scram.ts';
import { createAskSide } from './ask-side.ts';
import type { RunningChild } from './child-process.ts';
import { GatewayCounts } from './gateway-counts.ts';
import { createControlClient } from './control-client.ts';
import type { ControlClient } from './control-client.ts';
import { takeConnections } from './handed-connections.ts';
import { killForwarded, openFrontDoor } from './mysql-front-door.ts';
import { mysqlLogins } from './mysql-logins.ts';
import { createMarkedRows } from './marked-rows.ts';
import { poolOptions } from './pool-options.ts';
import { workerCount } from './process-settings.ts';
import type { ProcessSettings } from './process-settings.ts';
import { SlotClient } from './slot-client.ts';
import { createSourcePosition } from './source-position.ts';
import type { Holding } from '../migrate/fleet-messages.ts';

const METRICS_EVERY_MS = 1_000;
const COMMAND_WAIT_MS = 15_000;

export async function startWorker(runtime: Runtime, metrics: PrometheusMetrics, handed: ProcessSettings): Promise<RunningChild> {
  const { settings, paths, source } = handed;
  const workerId = `worker-${process.pid}`;
  const stack = new AsyncDisposableStack();
  try {
    const parser = stack.use(await loadSqlParser({ maxLength: settings.limits.statementBytes }));
    const facts = new FactsCache(parser);
    const sourcePosition = stack.use(createSourcePosition(source));
    const sides = stack.use(createAskSide({ source, local: handed.local }));
    const markedRows = stack.use(createMarkedRows(runtime, handed.local));
    const mysql = mysqlLogins(settings);
    let gateway: Gateway | undefined;
    let door: MysqlDoor | undefined;
    const limits = connectionLimits(settings);
    const slots = new SlotClient(limits, workerCount(settings), (message) => control.send(message));
    const control: ControlClient = createControlClient(runtime, {
      socketPath: paths.controlSocket, workerId, commandWaitMs: COMMAND_WAIT_MS,
      fetchSourcePosition: (callback) => sourcePosition.fetch((lsn) => {
        if (lsn !== undefined) callback(lsn);
      }),
      quiesceReport: (tables, epoch) => ({
        holding: [gateway, door].flatMap((each) => each?.quiesceReport(tables, epoch).holding.map(toHolding) ?? []),
        parked: [gateway, door].flatMap((each) => each?.parkedUnits(tables).map((unit) => ({ sessionId: unit.sessionId, sourcePid: unit.backendPids.source, localPid: unit.backendPids.local, parkedForMs: unit.parkedForMs })) ?? []),
      }),
      failParked: (sessionIds) => [gateway, door].forEach((each) => each?.failParked(sessionIds)),
      crossingUnits: () => gateway?.crossingUnits() ?? [],
      breakDeadlock: (sessionIds) => void gateway?.breakDeadlock(sessionIds),
      onConnected: () => {
        metrics.exportGaugesAgain();
        slots.connected();
      },
      onDisconnected: () => slots.disconnected(),
      survey: (shadowReads) => ({ ...withDoor(gateway?.survey() ?? { clients: [], waiting: [], loggingIn: 0, totals: [], isDraining: false, pools: [] }, door?.survey()), ...(shadowReads ? { shadowReads: gateway?.shadowReads() ?? [] } : {}) }),
      onMysqlServer: (place) => {
        mysql?.moveTo(place);
        door?.endElsewhere();
      },
      onSlotAnswer: (id, granted) => slots.answered(id, granted),
      onLeaseOver: () => slots.letInByShare(),
      onCancel: (pid, key) => {
        const done = (): void => control.send({ type: 'cancelled', pid, key });
        if (!killForwarded(door, pid, key, done)) gateway?.cancel(pid, Buffer.from(key, 'hex'), done);
      },
    });
    void control.run(runtime.signal);
    await control.ready();
    const routes = new RouteCache(emptySnapshot);
    const users = settings.users.map(toUser);
    // The same for every worker, and nobody else's to know: it comes from what only this installation has.
    const secret = createHash('sha256').update(paths.controlSocket).update(JSON.stringify(settings.users)).digest();
    const gatewayLimits = {
      maxConnections: settings.limits.maxConnections, reservedConnections: settings.limits.reservedConnections, connectionWaitMs: settings.timeouts.connectionWaitMs,
      clientIdleMs: settings.timeouts.clientIdleMs, idleTransactionMs: settings.timeouts.idleTransactionMs, startupTimeoutMs: settings.timeouts.startupMs, legConnectTimeoutMs: settings.timeouts.connectMs, maxStatementBytes: settings.limits.preparedBytesPerSession, maxMovedBytes: settings.limits.movedBytes, parkLimitMs: settings.timeouts.parkLimitMs,
      ...shadowLimits(settings.shadowReads),
    };
    gateway = stack.use(await createGateway(runtime, {
      users, legs: legConnector(handed), control, sourcePosition, askSide: sides.ask, routes,
      facts, markedRows, name: workerId, secret, connections: { limits, slots }, pools: poolOptions(settings), limits: gatewayLimits,
      onUnknownCancel: (pid, key, done) => control.forwardCancel(pid, key.toString('hex'), done),
      ...(settings.tls === undefined ? {} : { tls: settings.tls }), ...(mysql === undefined ? {} : { mysql }),
    }));
    gateway.onUnitEnded(() => control.unitsChanged());
    door = await openFrontDoor(runtime, { settings, logins: mysql, users, control, admission: gateway.admission, limits: gatewayLimits, name: workerId, secret, local: gateway.services });
    if (door) stack.use(door).onUnitEnded(() => control.unitsChanged());
    const connections = takeConnections({ postgres: (socket) => gateway?.handleConnection(socket), mysql: door && ((socket) => door?.handleConnection(socket)) });
    const counted = new GatewayCounts(metrics, facts, gateway);
    const timer = setInterval(() => {
      counted.update();
      control.sendMetrics(() => metrics.exportDelta());
    }, METRICS_EVERY_MS);
    stack.defer(() => clearInterval(timer));
    const owned = stack.move();
    const drained = [gateway, door];
    const drain = async (hurry: AbortSignal): Promise<void> => {
      connections.refuse();
      control.send({ type: 'draining' });
      await Promise.all(drained.map((each) => each?.drain(settings.timeouts.shutdownMs, hurry)));
    };
    return { drain, [Symbol.asyncDispose]: () => owned.disposeAsync() };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

function withDoor(survey: GatewaySurvey, door: ReturnType<MysqlDoor['survey']> | undefined): GatewaySurvey {
  return door === undefined ? survey : { ...survey, clients: [...survey.clients, ...door.clients], loggingIn: survey.loggingIn + door.loggingIn };
}

function shadowLimits({ concurrency, maxWaiting, answerBytes, timeoutMs, statements }: Settings['shadowReads']): Partial<GatewayLimits> {
  return { shadowConcurrency: concurrency, shadowQueue: maxWaiting, maxShadowBytes: answerBytes, shadowTimeoutMs: timeoutMs, shadowStatements: statements };
}

function toHolding(unit: HoldingUnit): Holding {
  const { sessionId, user, clientAddress, backendPids, openForMs, lastStatement } = unit;
  return { sessionId, user, clientAddress, sourcePid: backendPids.source, localPid: backendPids.local, openForMs, lastStatement };
}

function toUser(user: UserSettings): UserEntry {
  const verifier = user.password === undefined ? user.verifier : makeScramVerifier(user.password);
  const { name, trustFrom, certificate, certificateNames } = user;
  return { name, trustFrom, ...(verifier !== undefined && { verifier }), ...(certificate && { certificate }), ...(certificateNames && { certificateNames }) };
}

/** A user without credentials of its own for a side logs in there under its own name (trust, peer or a password-less rule). */
function legConnector(handed: ProcessSettings): LegConnector {
  const users = new Map(handed.settings.users.map((user) => [user.name, user]));
  return {
    target: (side: Side, login): LegTarget => {
      const address: ServerAddress = side === 'source' ? handed.source : handed.local;
      const credentials = users.get(login.user)?.[side];
      const base = { host: address.host, port: address.port, database: address.database, ...(address.ssl === undefined ? {} : { ssl: address.ssl }) };
      if (!credentials) return { ...base, user: login.user };
      const { user, password, cert, key } = credentials;
      const own = address.ssl && cert !== undefined && key !== undefined ? { ssl: { ...address.ssl, cert, key } } : {};
      return { ...base, ...own, user, ...(password === undefined ? {} : { password }) };
    },
  };
}
