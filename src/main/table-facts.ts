/**
 * What a worker knows of tables of another engine, for the translation of statements: asked of the control when first needed, and kept for as
 * long as the snapshot says that it is the same.
 */
import type { RoutingSnapshot } from '../../catalog/routing-snapshot.ts';
import { MigrationError } from '../../config/migration-error.ts';
import type { MigratedTable } from '../../grammar/dialect/migrated-table.ts';

/** So many are kept, the ones asked for last. */
const MAX_TABLES = 1_000;

interface Waiter {
  readonly missing: Set<string>;
  readonly timer: NodeJS.Timeout;
  readonly done: (error: MigrationError | undefined) => void;
}

export class TableFacts {
  readonly #snapshot: () => RoutingSnapshot;
  readonly #ask: (table: string) => void;
  readonly #waitMs: number;
  /** By key, with the hash that the snapshot had for it. */
  readonly #known = new Map<string, { readonly hash: string | undefined; readonly facts: MigratedTable }>();
  readonly #waiters = new Set<Waiter>();

  /** `ask` sends a question, and may lose it; `waitMs`: how long an answer is waited for. */
  constructor(snapshot: () => RoutingSnapshot, ask: (table: string) => void, waitMs: number) {
    this.#snapshot = snapshot;
    this.#ask = ask;
    this.#waitMs = waitMs;
  }

  get(key: string): MigratedTable | undefined {
    const known = this.#known.get(key);
    const route = this.#snapshot().tables[key];
    if (!known || !route || known.hash !== route.factsHash) return undefined;
    // The last ones asked for are the last to go.
    if (this.#known.size === MAX_TABLES) {
      this.#known.delete(key);
      this.#known.set(key, known);
    }
    return known.facts;
  }

  load(keys: readonly string[], done: (error: MigrationError | undefined) => void): void {
    const missing = new Set(keys.filter((key) => this.get(key) === undefined));
    if (missing.size === 0) {
      queueMicrotask(() => done(undefined));
      return;
    }
    const waiter: Waiter = { missing, done, timer: setTimeout(() => this.#over(waiter, new MigrationError('MIG084')), this.#waitMs) };
    this.#waiters.add(waiter);
    for (const key of missing) this.#ask(key);
  }

  /** The control may be another one, which has heard of no question. */
  connected(): void {
    for (const key of new Set([...this.#waiters].flatMap(({ missing }) => [...missing]))) this.#ask(key);
  }

  answered(key: string, facts: MigratedTable | undefined): void {
    if (facts) {
      this.#known.delete(key);
      // What the control has is never older than the snapshot.
      this.#known.set(key, { hash: this.#snapshot().tables[key]?.factsHash, facts });
      const [oldest] = this.#known.keys();
      if (this.#known.size > MAX_TABLES && oldest !== undefined) this.#known.delete(oldest);
    }
    for (const waiter of [...this.#waiters]) {
      if (!waiter.missing.delete(key)) continue;
      if (!facts) this.#over(waiter, new MigrationError('MIG082', `nothing is known of table "${key}" that a statement could be translated by`, { hint: 'Tables that were started by an earlier version are known after RESYNC MIGRATION FOR TABLE.' }));
      else if (waiter.missing.size === 0) this.#over(waiter, undefined);
    }
  }

  #over(waiter: Waiter, error: MigrationError | undefined): void {
    if (!this.#waiters.delete(waiter)) return;
    clearTimeout(waiter.timer);
    waiter.done(error);
  }
}
