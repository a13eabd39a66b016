/** An application that knows nothing of the migration: it writes, changes, deletes and reads its own rows through the proxy all the time, and remembers what was acknowledged. */
import { setTimeout as delay } from 'node:timers/promises';
import cassandra from 'cassandra-driver';
import { KEYSPACE, LIVE_DOMAIN, uuidOf } from './demo-data.ts';

const KEYS_PER_WORKER = 50;

export interface ModeFigures {
  readonly mode: string;
  readonly writes: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

export interface ApplicationFigures {
  readonly writes: number;
  readonly reads: number;
  readonly errors: readonly string[];
  readonly errorCount: number;
  /** An own write that the next read did not show. */
  readonly notSeen: number;
  readonly modes: readonly ModeFigures[];
}

const MOST_ERRORS = 10;

export class DemoApplication {
  /** By id; undefined: deleted. */
  readonly acknowledged = new Map<string, string | undefined>();
  readonly #client: cassandra.Client;
  readonly #errors: string[] = [];
  readonly #modes = new Map<string, number[]>();
  readonly #stop = new AbortController();
  readonly #workers: Promise<unknown>;
  #mode = 'SourceOnly';
  #errorCount = 0;
  #writes = 0;
  #reads = 0;
  #notSeen = 0;

  private constructor(client: cassandra.Client, workers: number, writesPerSecond: number) {
    this.#client = client;
    this.#workers = Promise.all(Array.from({ length: workers }, (_, worker) => this.#work(worker, (1000 * workers) / writesPerSecond)));
  }

  static async start(port: number, workers: number, writesPerSecond: number): Promise<DemoApplication> {
    // Nothing is tried again behind the demo's back: an error is an error.
    const client = new cassandra.Client({ contactPoints: [`127.0.0.1:${port}`], policies: { loadBalancing: new cassandra.policies.loadBalancing.RoundRobinPolicy(), retry: new cassandra.policies.retry.FallthroughRetryPolicy() } });
    try {
      await client.connect();
    } catch (error) {
      await client.shutdown();
      throw error;
    }
    return new DemoApplication(client, workers, writesPerSecond);
  }

  /** Under which name the figures go from now on. */
  set mode(mode: string) {
    this.#mode = mode;
  }

  get writes(): number {
    return this.#writes;
  }

  get errorCount(): number {
    return this.#errorCount;
  }

  figures(): ApplicationFigures {
    const modes = [...this.#modes].map(([mode, times]): ModeFigures => {
      const sorted = times.toSorted((a, b) => a - b);
      const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
      return { mode, writes: sorted.length, p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1) };
    });
    return { writes: this.#writes, reads: this.#reads, errors: this.#errors, errorCount: this.#errorCount, notSeen: this.#notSeen, modes };
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#workers;
    await this.#client.shutdown();
  }

  async #work(worker: number, everyMs: number): Promise<void> {
    const began = performance.now();
    for (let n = 0; !this.#stop.signal.aborted; n += 1) {
      const id = uuidOf(9, worker * KEYS_PER_WORKER + (n % KEYS_PER_WORKER));
      await this.#turn(id, n).catch((error: unknown) => {
        this.#errorCount += 1;
        if (this.#errors.length < MOST_ERRORS) this.#errors.push(`${this.#mode}: ${String(error)}`);
      });
      const wait = began + (n + 1) * everyMs - performance.now();
      if (wait > 1) await delay(wait, undefined, { signal: this.#stop.signal }).catch(() => undefined);
    }
  }

  async #turn(id: string, n: number): Promise<void> {
    const status = `v${n}`;
    const began = performance.now();
    const isDeleted = n % 10 === 9;
    if (isDeleted) await this.#run('DELETE FROM ks.files WHERE system_domain_id = ? AND id = ?', [LIVE_DOMAIN, id]);
    else if (n % 3 === 0) await this.#run('UPDATE ks.files SET status = ?, tags = tags + ? WHERE system_domain_id = ? AND id = ?', [status, [`t${n % 4}`], LIVE_DOMAIN, id]);
    else await this.#run('INSERT INTO ks.files (system_domain_id, id, name, size, status) VALUES (?, ?, ?, ?, ?)', [LIVE_DOMAIN, id, `live ${n}`, n, status]);
    const times = this.#modes.get(this.#mode) ?? [];
    this.#modes.set(this.#mode, times);
    times.push(performance.now() - began);
    this.acknowledged.set(id, isDeleted ? undefined : status);
    this.#writes += 1;
    if (n % 4 !== 0) return;
    const row = (await this.#run('SELECT status FROM ks.files WHERE system_domain_id = ? AND id = ?', [LIVE_DOMAIN, id])).first() as cassandra.types.Row | null;
    this.#reads += 1;
    if ((row?.['status'] ?? undefined) !== this.acknowledged.get(id)) this.#notSeen += 1;
  }

  #run(text: string, values: readonly unknown[]): Promise<cassandra.types.ResultSet> {
    return this.#client.execute(text.replace('ks.', `${KEYSPACE}.`), [...values], { prepare: true });
  }
}

/** Acknowledged writes that the cluster does not have. */
export async function countLost(ledger: ReadonlyMap<string, string | undefined>, client: cassandra.Client): Promise<number> {
  const { rows } = await client.execute(`SELECT id, status FROM ${KEYSPACE}.files WHERE system_domain_id = ${LIVE_DOMAIN}`, [], { fetchSize: 100_000 });
  const found = new Map(rows.map((row) => [String(row['id']), String(row['status'])]));
  return [...ledger].filter(([id, status]) => found.get(id) !== status).length;
}
