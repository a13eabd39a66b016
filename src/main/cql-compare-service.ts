/**
 * Validator and scanner as a service: a validation or scanning is begun by an HTTP route, one at a time, and what the last one has found can be asked for.
 *
 * idle → validating | scanning → idle.
 */
import type { ComparisonReport } from '../../cdc/cassandra/compare/comparison-report.ts';
import { MigrationError } from '../../config/migration-error.ts';
import type { Runtime } from '../../config/runtime.ts';
import { validatorMetricsText } from '../cql/api/metrics-text.ts';
import type { TableRecord } from '../cql/api/validations.ts';
import { JsonServer } from '../ops/json-server.ts';
import type { JsonAnswer, JsonBody } from '../ops/json-server.ts';
import { OneJob } from './one-job.ts';

export interface ValidationWanted {
  readonly mode: string;
  readonly tables: string | undefined;
  readonly since: string | undefined;
}

export interface CompareServiceParts {
  readonly runtime: Runtime;
  readonly host: string;
  readonly port: number;
  readonly metricsPort: number | undefined;
  /** What is wrong with it is thrown before the first row is read. */
  readonly validation: (wanted: ValidationWanted) => (signal: AbortSignal) => Promise<ComparisonReport>;
  /** Each report as it comes. */
  readonly scan: (signal: AbortSignal, heard: (report: ComparisonReport) => void) => Promise<unknown>;
}

export class CompareService implements AsyncDisposable {
  readonly #parts: CompareServiceParts;
  readonly #job: OneJob;
  readonly #server: JsonServer;
  readonly #records = new Map<string, TableRecord>();
  #last: ComparisonReport | undefined;

  constructor(parts: CompareServiceParts) {
    this.#parts = parts;
    this.#job = new OneJob(parts.runtime);
    this.#server = new JsonServer(parts.runtime.log, {
      host: parts.host, port: parts.port, metricsPort: parts.metricsPort, metrics: () => validatorMetricsText(this.#records),
      routes: {
        'GET /health': () => ok({ status: this.#job.error === undefined ? 'healthy' : 'degraded', service: 'dual-reader', error: this.#job.error ?? null }),
        'GET /status': () => ok(this.#status()),
        'GET /report': () => ok(this.#report()),
        'GET /discrepancies': () => ok({ discrepancies: this.#report().tables.flatMap(({ discrepancies }) => discrepancies) }),
        'POST /validate': (body) => this.#validate(body),
        'POST /start': () => this.start(),
        'POST /stop': async () => ok({ stopped: await this.#job.stop(), ...this.#status() }),
      },
    });
  }

  /** Resolves with the port. */
  listen(): Promise<number> {
    return this.#server.listen();
  }

  /** Scanning as the command's options say. */
  start(): JsonAnswer {
    return this.#begin('scanning', async (signal) => void (await this.#parts.scan(signal, (report) => this.#heard(report))));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#job.stop();
    await this.#server.close();
  }

  #validate({ mode = 'FullScan', tables, since, ...others }: JsonBody): JsonAnswer {
    this.#job.refuseSecond();
    const names = Array.isArray(tables) ? tables.join(',') : tables;
    if (typeof mode !== 'string' || (names !== undefined && typeof names !== 'string') || (since !== undefined && typeof since !== 'string') || Object.keys(others).length > 0) {
      throw new MigrationError('MIG071', 'expected mode, tables and since, as texts', { hint: '{"mode": "CriticalTables", "tables": ["ks.t"]}' });
    }
    let validate: ReturnType<CompareServiceParts['validation']>;
    try {
      validate = this.#parts.validation({ mode, tables: names, since });
    } catch (error) {
      throw new MigrationError('MIG071', error instanceof Error ? error.message : String(error));
    }
    return this.#begin('validating', async (signal) => this.#heard(await validate(signal)));
  }

  #begin(name: string, work: (signal: AbortSignal) => Promise<void>): JsonAnswer {
    this.#job.begin(name, work);
    return { status: 202, body: { started: true, job: name } };
  }

  #heard(report: ComparisonReport): void {
    this.#last = report;
    const heardMs = this.#parts.runtime.clock.now();
    for (const { table, rowsSource, rowsTarget, rowsDifferent, repaired, unsettled, shareOfRing, error } of report.tables) {
      const passed = rowsDifferent === repaired && unsettled === 0 && error === undefined;
      this.#records.set(table, { passed, mode: report.mode, summary: error ?? '', rows: Math.max(rowsSource, rowsTarget), different: rowsDifferent, share: shareOfRing, heardMs, goodSinceMs: null });
    }
  }

  #report(): ComparisonReport {
    if (!this.#last) throw new MigrationError('MIG010', 'nothing has been compared yet', { hint: 'POST /validate or POST /start begins.' });
    return this.#last;
  }

  #status(): Readonly<Record<string, unknown>> {
    const { tables: _tables, ...last } = this.#last ?? {};
    return { service: 'dual-reader', state: this.#job.name ?? 'idle', error: this.#job.error ?? null, last: this.#last ? last : null };
  }
}

function ok(body: unknown): JsonAnswer {
  return { status: 200, body };
}
