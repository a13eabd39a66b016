/**
 * Looks at the spools of a server's streams: says that one takes no more, warns while tables that wait for an operator are filling it, and keeps the
 * record of a table whose changes are lost (MIG086, MIG021).
 */
import type { Catalog } from '../../catalog/catalog.ts';
import type { TableRecord } from '../../catalog/records.ts';
import type { TableState } from '../../catalog/table-state.ts';
import type { ChangeStream } from '../../cdc/ports.ts';
import { MigrationError } from '../../config/migration-error.ts';
import type { Runtime } from '../../config/runtime.ts';
import { displayName, detailsOf } from './table-details.ts';
import { toMigrationError } from './trouble.ts';

interface Seen {
  readonly error: Error | undefined;
  readonly isFull: boolean;
}

export interface WatchedFlow {
  readonly serverName: string;
  readonly forward: ChangeStream;
  readonly reverse: ChangeStream;
}

/** Runs `act` while no driver and no other command works on the table. */
export type Alone = (tableId: string, act: () => Promise<void>) => Promise<void>;

const waitsForOperator: ReadonlySet<TableState> = new Set(['PAUSED', 'ERROR']);
/** From here on it is said: so full is the spool, and so much of it is kept for tables that wait. */
const WARN_FULL = 0.5;
const WARN_STOPPED = 0.25;

export class SpoolWatch {
  readonly #runtime: Runtime;
  readonly #catalog: Catalog;
  readonly #alone: Alone;
  readonly #seen = new Map<string, Seen>();
  /** Tables that have been warned of since their stream's spool was emptier. */
  readonly #warned = new Map<string, ReadonlySet<string>>();

  constructor(runtime: Runtime, catalog: Catalog, alone: Alone) {
    this.#runtime = runtime;
    this.#catalog = catalog;
    this.#alone = alone;
  }

  /** To be called every second or so. */
  async check(flow: WatchedFlow): Promise<void> {
    const records = (await this.#catalog.tables()).filter((record) => record.sourceServer === flow.serverName);
    const stopped = records.filter(({ state, route }) => waitsForOperator.has(state) && route.writes === 'source');
    flow.forward.setStopped(new Set(stopped.map(({ tableId }) => tableId)));
    await this.#warn(flow.forward, stopped);
    for (const record of stopped) if (this.#isNewlyLost(flow, record)) await this.#alone(record.tableId, () => this.#noteLost(flow, record.tableId)).catch((error: unknown) => this.#runtime.log.debug('the loss of a table is noted later', { tableId: record.tableId, reason: String(error) }));
    for (const stream of [flow.forward, flow.reverse]) await this.#checkFull(stream, records);
  }

  /** A spool that stays full makes its error anew at each attempt, one that has room again does not. The stream goes on by itself when there is room: the source keeps what was not confirmed. */
  async #checkFull(stream: ChangeStream, records: readonly TableRecord[]): Promise<void> {
    const { lastError: error } = stream.health();
    const before = this.#seen.get(stream.name);
    const isFull = error instanceof MigrationError && error.code === 'MIG086' && error !== before?.error;
    this.#seen.set(stream.name, { error, isFull });
    if (!isFull || before?.isFull === true) return;
    this.#runtime.log.error('the spool of a change stream takes no more', { stream: stream.name, error: error.message, detail: error.detail, hint: error.hint });
    for (const record of records) if ((stream.status(record.tableId)?.spoolBytes ?? 0) > 0) await this.#note(record, error);
  }

  async #warn(stream: ChangeStream, stopped: readonly TableRecord[]): Promise<void> {
    const { spoolBytes, spoolLimit, stoppedBytes } = stream.health();
    const isFilling = spoolBytes >= WARN_FULL * spoolLimit && stoppedBytes >= WARN_STOPPED * spoolLimit;
    const filling = isFilling ? stopped.filter(({ tableId }) => (stream.status(tableId)?.spoolBytes ?? 0) > 0) : [];
    const before = this.#warned.get(stream.name);
    this.#warned.set(stream.name, new Set(filling.map(({ tableId }) => tableId)));
    for (const record of filling.filter(({ tableId }) => before?.has(tableId) !== true)) {
      const name = displayName(record.source);
      const error = new MigrationError('MIG086', `${name} is ${record.state}, and what is kept for it fills the spool`, {
        detail: `${stream.status(record.tableId)?.spoolBytes ?? 0} bytes of ${spoolLimit} are its own, ${spoolBytes} are taken. When the spool takes no more, its changes are given up, and it has to be loaded again.`,
        hint: `RESUME MIGRATION FOR TABLE ${name}; or raise limits.spool_bytes.`, tableName: name,
      });
      this.#runtime.log.warn(error.message, { stream: stream.name, detail: error.detail, hint: error.hint });
      await this.#note(record, error);
    }
  }

  /** Of one that nobody works on: a driver meets the error by itself. */
  #isNewlyLost({ forward }: WatchedFlow, record: TableRecord): boolean {
    return detailsOf(record).needsResync !== true && forward.status(record.tableId)?.needsResync === true;
  }

  async #noteLost(flow: WatchedFlow, tableId: string): Promise<void> {
    const record = await this.#catalog.table(tableId);
    const loss = flow.forward.status(tableId)?.error;
    if (!record || !loss || !waitsForOperator.has(record.state) || !this.#isNewlyLost(flow, record)) return;
    const error = toMigrationError(loss);
    await this.#catalog.changeTable(tableId, { details: { ...record.details, needsResync: true } });
    await this.#note(record, error);
    if (record.state === 'PAUSED') await this.#catalog.moveState(tableId, 'PAUSED', 'ERROR', { trigger: error.code, error: error.message });
    this.#runtime.log.error(`${displayName(record.source)} needs an operator`, { code: error.code, detail: error.detail, hint: error.hint });
  }

  async #note({ tableId, source }: TableRecord, { code, message, detail }: MigrationError): Promise<void> {
    this.#runtime.metrics.count('scratchbird_migration_errors_total', { table: displayName(source), error: code });
    await this.#catalog.insertErrors([{ tableId, code, message, sourceError: detail }]);
    await this.#catalog.setProgress([{ tableId, lastError: message }]);
  }
}
