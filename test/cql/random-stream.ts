/**
 * A random stream through the proxy, between two clusters of any kind, while modes change and one side fails at times; it ends when nothing is owed any more.
 * What the clusters then hold is the caller's to compare.
 */
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { noFaults } from '../../config/faults.ts';
import type { Log } from '../../config/runtime.ts';
import { processClock } from '../../config/process-runtime.ts';
import { readCql } from '../../grammar/cql/statement-facts.ts';
import { createProxy } from '../../src/cql/create-proxy.ts';
import { openIntentLog } from '../../src/cql/intents/disk-log.ts';
import { RepairList } from '../../src/cql/intents/repair-list.ts';
import { RepairNotes } from '../../src/cql/intents/repair-notes.ts';
import { Replay } from '../../src/cql/intents/replay.ts';
import { everywhere } from '../../src/cql/modes.ts';
import type { CqlMode } from '../../src/cql/modes.ts';
import { defaultLimits, defaultTopology } from '../../src/cql/proxy-options.ts';
import type { CqlClusterOptions } from '../../src/cql/proxy-options.ts';
import { errorCodes } from '../../src/wire/cql/error-body.ts';
import { RawClient } from '../support/cql/raw-client.ts';
import { operations, pickOperation, refusedIn } from './random-operations.ts';
import type { Actor } from './random-operations.ts';
import { Random } from '../soak/torture-random.ts';

/** A cluster, by where the proxy reaches it. */
export interface StreamSide { readonly host: string; readonly port: number }

/** Trouble that a side has, with its end. */
export interface Trouble<Side> {
  readonly name: string;
  readonly begin: (side: Side) => readonly Disposable[];
  readonly end?: (side: Side) => Promise<void>;
  readonly isOfConnections?: boolean;
  readonly isHarmless?: boolean;
}

export interface StreamOptions<Side extends StreamSide> {
  readonly seed: number;
  readonly operations: number;
  readonly clients: number;
  /** How long a mode, and the trouble of one side, lasts. */
  readonly phaseMs: number;
  readonly modes: readonly CqlMode[];
  /** The source and the target, on which the tables are. */
  readonly sides: readonly [Side, Side];
  /** One of them in each phase, for one of the sides. */
  readonly troubles: readonly Trouble<Side>[];
  readonly keyspace: string;
  readonly requestTimeoutMs: number;
  readonly shadowTimeoutMs: number;
  /** Errors that are a cluster's own whatever the phase: a real one may be slow at any time. */
  readonly isOfCluster?: (code: number, message: string) => boolean;
  readonly drainMs: number;
}

/** What a client was told that it should not have been. */
export interface UnexpectedError { readonly operation: string; readonly mode: CqlMode; readonly failing: string; readonly message: string }

export interface StreamResult extends AsyncDisposable {
  readonly repairs: RepairList;
  readonly done: number;
  readonly errors: number;
  readonly phases: readonly string[];
  readonly unexpected: readonly UnexpectedError[];
  /** By operation: how often it succeeded. */
  readonly succeeded: ReadonlyMap<string, number>;
  readonly owed: number;
  /** How long a write has waited until both clusters had it. */
  readonly longestOwedMs: number;
  readonly reports: readonly string[];
}

/** OVERLOADED in a cluster's place: nothing has been sent to it. */
const UNSENT = `0x${errorCodes.overloaded.toString(16)} MIG087`;
const primaryOf = (mode: CqlMode): string => (mode === 'ShadowPrimary' ? 'target' : 'source');

interface Phase { readonly mode: CqlMode; readonly failing: string; readonly number: number; readonly beganMs: number; /** The mode before. */ readonly from?: CqlMode }

export async function runStream<Side extends StreamSide>(options: StreamOptions<Side>): Promise<StreamResult> {
  const random = new Random(options.seed);
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'random-stream-'));
  const [source, target] = options.sides;
  const refused = refusedIn(options.keyspace);
  const reports: string[] = [];
  const write = (level: string) => (message: string, fields?: unknown): void => void (reports.push(`${level} ${message} ${JSON.stringify(fields)}`));
  const log: Log = { debug: () => undefined, info: write('info'), warn: write('warn'), error: write('error'), child: () => log };
  const { log: intents } = openIntentLog({ directory: path.join(directory, 'intents'), maxBytes: 256 * 1024 * 1024, fsync: 'none', faults: noFaults, onDisk: () => undefined });
  const repairs = RepairList.open(path.join(directory, 'repairs'), 64 * 1024 * 1024);
  const cluster = ({ host, port }: Side): CqlClusterOptions => ({ hosts: [{ host, port }], connectionsPerHost: 2, connectTimeoutMs: 1000, maxStreams: 1024 });
  const notes = new RepairNotes(repairs, readCql);
  const proxy = createProxy({ clock: processClock, log }, {
    listen: { host: '127.0.0.1', port: 0 }, clusters: [cluster(source), cluster(target)], modes: everywhere(options.modes[0] ?? 'DualAsync'), intents, topology: defaultTopology, limits: defaultLimits,
    requestTimeoutMs: options.requestTimeoutMs, shadowTimeoutMs: options.shadowTimeoutMs, schemaChanges: 'both',
    repairs: notes,
  });
  const replay = new Replay({ intents, port: proxy.replay, repairs: notes, log, nowMs: Date.now, random: () => Math.random(), read: readCql, maxInFlight: 64, firstDelayMs: 20, maxDelayMs: 500, maxRefusals: 20 });
  replay.start();
  const port = await proxy.listen();

  const phases: string[] = [];
  const unexpected: UnexpectedError[] = [];
  const succeeded = new Map<string, number>();
  let phase: Phase = { mode: options.modes[0] ?? 'DualAsync', failing: 'nobody', number: 0, beganMs: Date.now() };
  let started = 0;
  let done = 0;
  let errors = 0;
  let longestOwedMs = 0;
  const isOver = (): boolean => started >= options.operations;
  const look = setInterval(() => {
    const { oldestAtMs: oldest } = intents.state();
    if (oldest !== undefined) longestOwedMs = Math.max(longestOwedMs, Date.now() - oldest);
  }, 50);

  const settled = (when: string): Promise<void> => inTime(proxy.settled()).catch((error: unknown) => {
    unexpected.push({ operation: when, mode: phase.mode, failing: phase.failing, message: `requests are in hand for ever: ${String(error)}` });
  });

  const nextPhase = async (number: number): Promise<void> => {
    const mode = random.pick(options.modes);
    const side = random.chance(0.5) ? source : target;
    const trouble = random.pick(options.troubles);
    proxy.setModes(everywhere(mode));
    phase = { mode, failing: trouble.isHarmless === true ? 'nobody' : side === source ? 'source' : 'target', number, beganMs: Date.now(), from: phase.mode };
    phases.push(`${mode}, ${side === source ? 'source' : 'target'}: ${trouble.name}`);
    const active = trouble.begin(side);
    const end = Date.now() + options.phaseMs;
    while (Date.now() < end && !isOver()) await sleep(10);
    for (const fault of active) fault[Symbol.dispose]();
    await trouble.end?.(side);
    // What was asked in this phase must not be blamed on the next one: its requests time out first.
    phase = { ...phase, failing: phase.failing === 'nobody' ? 'nobody' : 'before', number: number + 0.5 };
    await settled(`phase ${number}`);
    // A cluster that was away is asked again after a while only; until then it is away for clients.
    while (phase.failing === 'before' && !proxy.stats().clusters.every(({ isReachable }) => isReachable)) await sleep(20);
    if (trouble.isOfConnections) await sleep(1200);
    await settled(`phase ${number}, again`);
  };

  const actor = async (number: number): Promise<void> => {
    const own = new Random(options.seed * 1000 + number);
    const version = number % 4 === 3 ? 3 as const : 4 as const;
    const compression = ([undefined, 'lz4', 'snappy'] as const)[number % 3];
    let current: Actor | undefined;
    while (!isOver()) {
      // Few while a cluster comes back: the operations are for the phases.
      if (phase.failing === 'before') await sleep(20);
      started += 1;
      const operation = own.chance(0.01) ? undefined : pickOperation(own);
      const before = phase;
      try {
        if (!current || current.client.socket.destroyed) current = { random: own, client: await inTime(RawClient.connect(port, '127.0.0.1', { version, ...(compression && { compression }), ...(number % 2 === 1 && { keyspace: options.keyspace }) })), version, keyspace: options.keyspace, isInKeyspace: number % 2 === 1, number, count: options.clients, prepared: new Map() };
        const answer = await inTime(operation ? operation.run(current) : current.client.query(own.pick(refused)));
        done += 1;
        if (!operation) {
          if (answer.kind !== 'error') unexpected.push({ operation: 'a statement that cannot be', mode: before.mode, failing: before.failing, message: `was answered ${answer.kind}` });
        } else if (answer.kind === 'error') {
          note(operation.name, before, `0x${answer.code.toString(16)} ${answer.message}`, options.isOfCluster?.(answer.code, answer.message) === true);
          await sleep(20);
        } else succeeded.set(operation.name, (succeeded.get(operation.name) ?? 0) + 1);
      } catch (error) {
        done += 1;
        if (error instanceof Unanswered) unexpected.push({ operation: operation?.name ?? 'a statement that cannot be', mode: before.mode, failing: before.failing, message: error.message });
        else note(operation?.name ?? 'a statement that cannot be', before, error instanceof Error ? error.message : String(error));
        current?.client.close();
        current = undefined;
        // A side that refuses at once would use up the operations of its phase.
        await sleep(20);
      }
    }
    current?.client.close();
  };

  /** An error is the primary's when it fails; where both are waited for, either's. */
  const note = (operation: string, before: Phase, message: string, isOfCluster = false): void => {
    errors += 1;
    const isAwaited = (mode: CqlMode, side: string): boolean => side !== 'nobody' && (mode === 'DualSync' || side === primaryOf(mode));
    const isExplained = [before, phase].some(({ failing, mode }) => failing === primaryOf(before.mode) || failing === 'before' || isAwaited(mode, failing)) || before.number !== phase.number || isHeldUp(before, message);
    if (!isExplained && !isOfCluster) unexpected.push({ operation, mode: before.mode, failing: before.failing, message });
  };

  /** The side failed in the moment of the switch: what is done in order came behind one of the mode before, which that side was to answer. */
  const isHeldUp = ({ mode, failing, from, beganMs }: Phase, message: string): boolean =>
    message.startsWith(UNSENT) && from !== undefined && from !== mode && (from === 'DualSync' || failing === primaryOf(from)) && Date.now() - beganMs < options.requestTimeoutMs * 1.5;

  const actors = Promise.all(Array.from({ length: options.clients }, (_, number) => actor(number)));
  for (let number = 1; !isOver(); number += 1) await nextPhase(number);
  await actors;
  await settled('the end');
  const began = Date.now();
  while (intents.state().depth > 0 && Date.now() - began < options.drainMs) await sleep(20);
  clearInterval(look);
  const { depth } = intents.state();
  if (depth > 0) reports.push(`replay ${JSON.stringify(replay.report())}`);
  return {
    repairs, done, errors, phases, unexpected, succeeded, owed: depth, longestOwedMs, reports: summed(reports),
    [Symbol.asyncDispose]: async () => {
      await replay.stop(1000);
      await proxy.close();
      await intents.close();
      await repairs.close();
      fs.rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** Whatever happens, a request is answered: the proxy's own limits are far below this. */
const PATIENCE_MS = 15_000;

class Unanswered extends Error {}

async function inTime<T>(answer: Promise<T>): Promise<T> {
  const patience = new AbortController();
  const late = sleep(PATIENCE_MS, undefined, { signal: patience.signal }).then(() => Promise.reject(new Unanswered(`no answer within ${PATIENCE_MS} ms`)));
  late.catch(() => undefined);
  try {
    return await Promise.race([answer, late]);
  } finally {
    patience.abort();
  }
}

/** Equal lines once, with their number. */
function summed(lines: readonly string[]): string[] {
  const counts = new Map<string, number>();
  for (const line of lines) counts.set(line, (counts.get(line) ?? 0) + 1);
  return [...counts].map(([line, count]) => (count > 1 ? `${count} × ${line}` : line)).slice(0, 60);
}

export const operationNames: readonly string[] = operations.map(({ name }) => name);
