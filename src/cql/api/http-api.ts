/**
 * The documents' HTTP API on a port of its own: figures, modes, writes. Without authentication, so it is bound where only operators and applications reach it; no password is ever in an answer.
 * 4xx when the request is at fault, 409 when the state is, 503 when a cluster or the log is.
 */
import { randomUUID } from 'node:crypto';
import { MigrationError } from '../../../config/migration-error.ts';
import type { Log } from '../../../config/runtime.ts';
import { failedAnswer, JsonServer } from '../../ops/json-server.ts';
import type { JsonAnswer, JsonRoute } from '../../ops/json-server.ts';
import { plans } from '../modes.ts';
import { outcomes } from '../proxy-stats.ts';
import { configChange } from './config-change.ts';
import type { CqlFigures, CqlService } from './cql-service.ts';
import { keyPageBody, readKeyQuestion } from './keys-body.ts';
import { metricsText } from './metrics-text.ts';
import { Monitor } from './monitor.ts';
import type { Figures } from './monitor.ts';
import { readHold, readLoaderReport, readVerdict, repairsBody } from './validation-body.ts';
import type { WriteClient } from './write-client.ts';

/** Of the rates on the dashboard. */
const SAMPLE_MS = 5000;

export interface HttpApiOptions {
  readonly host: string;
  readonly port: number;
  readonly metricsPort?: number | undefined;
  /** What `GET /config` shows besides the modes; without secrets. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly startedMs: number;
  readonly nowMs: () => number;
}

export class HttpApi {
  readonly #log: Log;
  readonly #service: CqlService;
  readonly #writes: WriteClient;
  readonly #options: HttpApiOptions;
  readonly #server: JsonServer;
  readonly #counts = { total: 0, successful: 0, failed: 0 };
  readonly #monitor = new Monitor();
  #sampler: NodeJS.Timeout | undefined;

  constructor(log: Log, service: CqlService, writes: WriteClient, options: HttpApiOptions) {
    this.#log = log;
    this.#service = service;
    this.#writes = writes;
    this.#options = options;
    const routes: Readonly<Record<string, JsonRoute>> = {
      'GET /health': () => this.#health(),
      'GET /healthz': () => this.#health(),
      'GET /readyz': () => this.#health(),
      'GET /status': () => ({ status: 200, body: this.#status() }),
      'GET /stats': () => ({ status: 200, body: this.#stats() }),
      'GET /config': () => ({ status: 200, body: this.#config() }),
      'POST /config': (body, from) => this.#changeConfig(body, from),
      'POST /config/mode': (body, from) => this.#changeMode(body, from),
      'POST /config/filters/reload': () => ({ status: 200, body: { reloaded: service.reloadFilter(), filter: service.figures().filter } }),
      'GET /dashboard': () => ({ status: 200, body: this.#monitor.dashboard(this.#figures()) }),
      'POST /loader/progress': (body) => {
        this.#monitor.heard(readLoaderReport(body), options.nowMs());
        return { status: 200, body: { recorded: true } };
      },
      'GET /repairs': () => ({ status: 200, body: repairsBody(service.repairs(), service.figures().repairs.isWhole, options.nowMs()) }),
      'GET /keys': async (query) => {
        const { table, sinceMs, after } = readKeyQuestion(query);
        return { status: 200, body: keyPageBody(await service.writtenKeys(table, sinceMs, after)) };
      },
      'POST /scan/hold': (body) => {
        const { tables, forMs } = readHold(body);
        service.holdSource(tables, forMs);
        return { status: 200, body: { held: forMs > 0, tables } };
      },
      'POST /validation': (body) => this.#hear(body),
      'POST /write': (body) => this.#write(body),
    };
    this.#server = new JsonServer(log, { host: options.host, port: options.port, metricsPort: options.metricsPort, routes, metrics: () => metricsText(service.figures(), this.#monitor.load) });
  }

  /** Resolves with the port. */
  async listen(): Promise<number> {
    const port = await this.#server.listen();
    this.#sampler = setInterval(() => this.#monitor.sample(this.#figures()), SAMPLE_MS).unref();
    return port;
  }

  #figures(): Figures {
    const { stats, modes, validated, nowMs } = this.#service.figures();
    return { stats, mode: modes.global, validated, nowMs };
  }

  async close(): Promise<void> {
    clearInterval(this.#sampler);
    await this.#server.close();
    await this.#writes.close();
  }

  /** Good while the cluster that is read can be reached and writes can be recorded; what is owed to the other does not make the application ill. */
  #health(): JsonAnswer {
    const figures = this.#service.figures();
    const [source, target] = figures.stats.clusters;
    const { primary, shadow } = plans[figures.modes.global];
    const reasons: string[] = [];
    if (!figures.stats.clusters[primary].isReachable) reasons.push('the cluster that is read cannot be reached');
    if (shadow !== undefined && figures.refusal !== undefined) reasons.push(`the intent log takes no writes: ${figures.refusal}`);
    const doubts = [...(shadow !== undefined && !figures.stats.clusters[shadow].isReachable ? ['the shadow cluster cannot be reached; writes are kept for it'] : []), ...(figures.damages.length > 0 ? ['the intent log is damaged'] : []), ...(figures.repairs.entries > 0 ? ['writes wait for a repair'] : [])];
    const body = {
      status: reasons.length > 0 ? 'unhealthy' : doubts.length > 0 ? 'degraded' : 'healthy', service: 'dual-writer', current_mode: figures.modes.global,
      source_connected: source.isReachable, target_connected: target.isReachable, cassandra_connected: source.isReachable, scylla_connected: target.isReachable, validation_rate: this.#options.config['sampledReads'] ?? 0, reasons: [...reasons, ...doubts],
    };
    return { status: reasons.length > 0 ? 503 : 200, body };
  }

  #status(): unknown {
    const { nowMs, startedMs } = { nowMs: this.#options.nowMs(), startedMs: this.#options.startedMs };
    const { intents, refusal, damages, lanes, repairs, keys, filter, modes, stats, validated, blocking } = this.#service.figures();
    return {
      service: 'dual-writer', mode: modes.global, keyspaces: Object.fromEntries(modes.keyspaces), tables: Object.fromEntries(modes.tables), uptime_secs: Math.round((nowMs - startedMs) / 1000), clients: stats.counts.clients,
      queue: { ...queueOf(intents, nowMs), refusing: refusal ?? null, damages }, replay: lanes, repairs, key_log: { bytes: keys.bytes, max_bytes: keys.maxBytes, dropped_up_to_ms: keys.droppedMs }, validation: { blocking, tables: Object.fromEntries(validated) }, filter: filter ?? null, stats: this.#stats(),
    };
  }

  /** Names of the document's client, over all ways in. */
  #stats(): Readonly<Record<string, unknown>> {
    const { stats, intents, lanes, repairs, modes, nowMs } = this.#service.figures();
    const primary = stats.clusters[plans[modes.global].primary].counts;
    const total = primary.writesEnded.reduce((sum, count) => sum + count, 0);
    const successful = primary.writesEnded[outcomes.indexOf('ok')] ?? 0;
    return {
      total_writes: total, successful_writes: successful, failed_writes: total - successful, filtered_writes: stats.counts.filtered,
      mode: modes.global, queued_writes: intents.depth, ...queueOf(intents, nowMs), replayed_writes: lanes.reduce((sum, lane) => sum + lane.replayed, 0), repair_entries: repairs.entries, http_writes: { ...this.#counts },
    };
  }

  #config(): Readonly<Record<string, unknown>> {
    const { modes } = this.#service;
    return { ...this.#options.config, mode: modes.global, keyspaces: Object.fromEntries(modes.keyspaces), tables: Object.fromEntries(modes.tables) };
  }

  /** Only the mode changes while the process runs; another value of any other key is refused by name rather than taken without effect. */
  async #changeConfig(body: Readonly<Record<string, unknown>>, from: string): Promise<JsonAnswer> {
    const { mode, force, fixed } = configChange(body, this.#config());
    if (fixed.length > 0) throw new MigrationError('MIG071', `${fixed.join(', ')} cannot be changed while the proxy runs`, { hint: 'Change the settings and start the proxy again; clients connect again by themselves.' });
    return this.#changeMode({ mode, force }, from);
  }

  async #changeMode({ mode, force = false, keyspace, table, ...others }: Readonly<Record<string, unknown>>, from: string): Promise<JsonAnswer> {
    if (typeof mode !== 'string') throw new MigrationError('MIG071', 'mode: expected a text', { hint: '{"mode": "DualAsync"}' });
    if (typeof force !== 'boolean') throw new MigrationError('MIG071', 'force: expected true or false');
    if (Object.keys(others).length > 0) throw new MigrationError('MIG071', `${Object.keys(others).join(', ')}: unknown; expected mode, keyspace, table, force`);
    if (table !== undefined && (typeof table !== 'string' || typeof keyspace !== 'string')) throw new MigrationError('MIG071', 'table: expected a text, with its keyspace');
    if (keyspace !== undefined && typeof keyspace !== 'string') throw new MigrationError('MIG071', 'keyspace: expected a text');
    const of = keyspace === undefined ? undefined : typeof table === 'string' ? `${keyspace}.${table}` : keyspace;
    const { previous, mode: now, forced } = await this.#service.switchMode({ mode, force, by: from, ...(of === undefined ? {} : { of }) });
    return { status: 200, body: { success: true, previous_mode: previous, mode: now, forced } };
  }

  async #hear(body: Readonly<Record<string, unknown>>): Promise<JsonAnswer> {
    const removed = await this.#service.heard(readVerdict(body));
    return { status: 200, body: { recorded: true, blocking: this.#service.figures().blocking, repairs_removed: removed } };
  }

  async #write(body: Readonly<Record<string, unknown>>): Promise<JsonAnswer> {
    const started = performance.now();
    const requestId = typeof body['request_id'] === 'string' ? body['request_id'] : randomUUID();
    this.#counts.total += 1;
    try {
      const timestamp = await this.#writes.write({
        keyspace: optionalText(body, 'keyspace'), table: optionalText(body, 'table'), query: optionalText(body, 'query') ?? '', values: listOf(body['values']), consistency: optionalText(body, 'consistency'),
        timestamp: timestampOf(body['timestamp']),
      });
      this.#counts.successful += 1;
      return { status: 200, body: { success: true, request_id: requestId, write_timestamp: Number(timestamp), latency_ms: performance.now() - started, error: null } };
    } catch (error) {
      this.#counts.failed += 1;
      const { status, body: told } = failedAnswer(error);
      this.#log.debug('a write by HTTP has failed', { requestId, error: String(error) });
      return { status, body: { success: false, request_id: requestId, write_timestamp: 0, latency_ms: performance.now() - started, ...(told as object) } };
    }
  }
}

function queueOf({ depth, released, bytes, maxBytes, segments, oldestAtMs }: CqlFigures['intents'], nowMs: number): Readonly<Record<string, unknown>> {
  return { depth, released, bytes, max_bytes: maxBytes, segments, oldest_secs: oldestAtMs === undefined ? 0 : Math.max(0, (nowMs - oldestAtMs) / 1000) };
}

function optionalText(body: Readonly<Record<string, unknown>>, name: string): string | undefined {
  const value = body[name];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'string') throw new MigrationError('MIG071', `${name}: expected a text`);
  return value;
}

function listOf(value: unknown): readonly unknown[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw new MigrationError('MIG071', 'values: expected a list');
  return value;
}

function timestampOf(value: unknown): number | string | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'number' && typeof value !== 'string') throw new MigrationError('MIG071', 'timestamp: expected microseconds since 1970');
  return value;
}
