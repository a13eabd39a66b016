/** What no command waits for and no table asks for: on the servers of a flow, what nothing needs any more is taken away when it can be, and rights that change are seen. */
import type { Catalog } from '../../catalog/catalog.ts';
import type { TableRecord } from '../../catalog/records.ts';
import type { QualifiedName } from '../../catalog/routing-snapshot.ts';
import type { Runtime } from '../../config/runtime.ts';
import type { SourceFlow } from './source-flow.ts';
import { displayName } from './table-details.ts';

const SWEEP_MS = 30_000;
/** For each table. */
const SWEPT_MS = 2_000;

export class FlowUpkeep {
  readonly #runtime: Runtime;
  readonly #catalog: Catalog;
  readonly #nextSweepMs = new Map<string, number>();

  constructor(runtime: Runtime, catalog: Catalog) {
    this.#runtime = runtime;
    this.#catalog = catalog;
  }

  /** To be called every few seconds. */
  async keep(flow: SourceFlow): Promise<void> {
    const { serverName: server, streams } = flow;
    const { log } = this.#runtime;
    await flow.rights.look().catch((error: unknown) => log.warn('the rights on local of tables that are read there could not be looked at', { server, error: String(error) }));
    await streams.endUnused().catch((error: unknown) => log.warn('slots and publications that no table needs any more could not be dropped yet', { server, error: String(error) }));
    await this.#sweepFences(flow).catch((error: unknown) => log.warn('what is left of fences could not be dropped yet', { server, error: String(error) }));
  }

  /** Of tables that are in no migration any more. */
  async #sweepFences(flow: SourceFlow): Promise<void> {
    const { serverName, sourceSide } = flow;
    const nowMs = this.#runtime.clock.monotonicMs();
    if (nowMs < (this.#nextSweepMs.get(serverName) ?? 0)) return;
    this.#nextSweepMs.set(serverName, nowMs + SWEEP_MS);
    for (const table of await sourceSide.idleFences()) {
      if (await this.#isMigrating((record) => record.sourceServer === serverName && isSame(record.source, table))) continue;
      const left = await sourceSide.dropFences([table], { timeoutMs: SWEPT_MS });
      if (left.length === 0) this.#runtime.log.info('what was left of the fence of a table is gone', { table: displayName(table) });
    }
    for (const table of await flow.idleGuards()) {
      if (await this.#isMigrating((record) => isSame(record.target, table))) continue;
      const left = await flow.dropGuards([table], SWEPT_MS);
      if (left.length === 0) this.#runtime.log.info('what was left of the guard of a table on local is gone', { table: displayName(table) });
    }
  }

  async #isMigrating(isIt: (record: TableRecord) => boolean): Promise<boolean> {
    return (await this.#catalog.tables()).some((record) => record.state !== 'NOT_STARTED' && record.completedAt === undefined && isIt(record));
  }
}

function isSame(a: QualifiedName, b: QualifiedName): boolean {
  return a.schema === b.schema && a.name === b.name;
}
