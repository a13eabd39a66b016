/** Transactions that have written on both sides (RULES 23): whether they can be committed, and the end of those whose session did not live to see it. */
import type { Side, TwoPhase } from '../../catalog/routing-snapshot.ts';
import type { SourceDecisions } from '../../cdc/decider.ts';
import { canPrepare, installDecisions, postgresDecider, resolveInDoubt } from '../../cdc/postgres/decisions.ts';
import type { Resolution } from '../../cdc/postgres/decisions.ts';
import type { Runtime } from '../../config/runtime.ts';
import { readWaits } from './cross-deadlocks.ts';
import type { Wait } from './cross-deadlocks.ts';
import { AdminConnection } from '../../cdc/postgres/admin-connection.ts';
import type { SourceFlow } from './source-flow.ts';

const both = ['source', 'local'] as const;
/** A setting that takes a restart of its server. */
const PROBE_MS = 30_000;

export class InDoubt {
  readonly #runtime: Runtime;
  readonly #mark: string;
  readonly #mysqlMark: string;
  readonly #told = new Set<string>();
  /** Of its own: nobody waits here behind an index that is being built. */
  readonly #connections: Record<Side, AdminConnection>;
  readonly #besideMysql: AdminConnection;

  /** `before`: as an earlier process has found it. */
  constructor(runtime: Runtime, catalogId: string, flow: Pick<SourceFlow, 'source' | 'local'>, before: TwoPhase | undefined) {
    this.#runtime = runtime;
    this.#connections = { source: new AdminConnection(flow.source, 'causeway recovery'), local: new AdminConnection(flow.local, 'causeway recovery') };
    this.#besideMysql = new AdminConnection(flow.local, 'causeway recovery');
    const begin = `causeway_${catalogId.replaceAll('-', '').slice(0, 8)}`;
    this.#mark = `${begin}_`;
    // None begins as the other: who decides is in the name.
    this.#mysqlMark = `${begin}m_`;
    this.#mysqlDecides = before?.mysqlMark !== undefined;
  }

  /** What the sides can do now; makes what they need for it. Undefined when neither takes PREPARE TRANSACTION, or the decider cannot be asked to decide. */
  async probe(): Promise<TwoPhase | undefined> {
    const now = this.#runtime.clock.monotonicMs();
    if (now >= this.#probedUntilMs) {
      const sides: Side[] = [];
      for (const side of both) {
        await this.#connections[side].use(installDecisions);
        if (await this.#connections[side].use(canPrepare)) sides.push(side);
      }
      this.#sides = sides;
      this.#probedUntilMs = now + PROBE_MS;
    }
    if (this.#sides.length === 0) return undefined;
    return { sides: this.#sides, mark: this.#mark, ...(this.#mysqlDecides && this.#sides.includes('local') ? { mysqlMark: this.#mysqlMark } : {}) };
  }

  #sides: readonly Side[] = [];
  #probedUntilMs = 0;
  #mysqlDecides: boolean;
  #mysqlProbedUntilMs = 0;
  #obstacle: string | undefined;

  /** Finishes what is left prepared on either side. */
  async resolve({ sides }: TwoPhase): Promise<void> {
    for (const side of sides) {
      const decider = side === 'source' ? 'local' : 'source';
      const resolution = await this.#connections[side].use((prepared) => this.#connections[decider].use((client) => resolveInDoubt(prepared, postgresDecider(client), this.#mark)));
      this.#tell(side, side, resolution);
    }
  }

  /** The same of local with the MySQL server, and whether that can decide. By itself: a server that is away holds nobody up. */
  async resolveOnMysql(mysql: SourceDecisions): Promise<void> {
    const now = this.#runtime.clock.monotonicMs();
    if (now >= this.#mysqlProbedUntilMs) {
      const obstacle = await mysql.install();
      if (obstacle !== undefined && obstacle !== this.#obstacle) this.#runtime.log.warn('transactions that write on the MySQL server and on local are refused (MIG081)', { reason: obstacle });
      this.#obstacle = obstacle;
      this.#mysqlDecides = obstacle === undefined;
      this.#mysqlProbedUntilMs = now + PROBE_MS;
    }
    this.#tell('local', 'mysql', await this.#besideMysql.use((prepared) => mysql.use((decider) => resolveInDoubt(prepared, decider, this.#mysqlMark))));
  }

  /** Who waits for whom, on both sides. */
  async waits(): Promise<Wait[]> {
    const waits = await Promise.all(both.map((side) => this.#connections[side].use((client) => readWaits(client, side))));
    return waits.flat();
  }

  /** `decided`: apart in the metric where another decides than the other side. */
  #tell(side: Side, decided: Side | 'mysql', { resolved, unresolved }: Resolution): void {
    const { log, metrics } = this.#runtime;
    for (const { gid, outcome } of resolved) {
      metrics.count('scratchbird_gateway_in_doubt_resolved_total', { outcome });
      log.warn('a transaction that its session left prepared was finished', { side, gid, outcome });
      this.#told.delete(gid);
    }
    metrics.gauge('scratchbird_gateway_in_doubt', { side: decided }, unresolved.length);
    for (const { gid, preparedAt, reason } of unresolved) {
      if (this.#told.has(gid)) continue;
      this.#told.add(gid);
      log.error('a prepared transaction cannot be finished, and holds its locks', { side, gid, preparedAt, reason, hint: 'SELECT outcome FROM causeway.decision on the other side: commit means COMMIT PREPARED, abort or no row ROLLBACK PREPARED; as its owner or a superuser.' });
    }
  }

  async close(): Promise<void> {
    for (const side of both) await this.#connections[side].close();
    await this.#besideMysql.close();
  }
}
