/**
 * When the rights on local of a table whose reads are answered there are to be compared with the source's again: soon after something of them has changed on local,
 * which is looked for every few seconds, and now and then in any case, for the source's may have changed as well.
 */
import type { Catalog } from '../../catalog/catalog.ts';
import type { AdminConnection } from '../../cdc/postgres/admin-connection.ts';
import { readRightsFingerprints } from '../../cdc/postgres/rights-fingerprint.ts';

const REVIEW_MS = 60_000;
/** After nobody could say. */
const UNKNOWN_MS = 5_000;

export class RightsWatch {
  readonly #catalog: Catalog;
  readonly #serverName: string;
  readonly #local: AdminConnection;
  readonly #prints = new Map<string, string | null>();
  readonly #nextMs = new Map<string, number>();
  /** What was lost when it was asked last. */
  readonly #told = new Map<string, ReadonlySet<string>>();

  constructor(catalog: Catalog, serverName: string, local: AdminConnection) {
    this.#catalog = catalog;
    this.#serverName = serverName;
    this.#local = local;
  }

  /** To be called every few seconds: one question for all tables. */
  async look(): Promise<void> {
    const read = (await this.#catalog.tables()).filter(({ sourceServer, route, completedAt }) => sourceServer === this.#serverName && route.reads === 'local' && completedAt === undefined);
    const ids = new Set(read.map(({ tableId }) => tableId));
    for (const tableId of this.#prints.keys()) if (!ids.has(tableId)) this.#forget(tableId);
    if (read.length === 0) return;
    const prints = await this.#local.use((client) => readRightsFingerprints(client, read.map(({ target }) => target)));
    for (const [at, { tableId }] of read.entries()) {
      const print = prints[at] ?? null;
      if (this.#prints.get(tableId) === print) continue;
      this.#prints.set(tableId, print);
      this.#nextMs.set(tableId, 0);
    }
  }

  isDue(tableId: string, nowMs: number): boolean {
    return nowMs >= (this.#nextMs.get(tableId) ?? Infinity);
  }

  reviewed(tableId: string, nowMs: number, isKnown: boolean): void {
    this.#nextMs.set(tableId, nowMs + (isKnown ? REVIEW_MS : UNKNOWN_MS));
  }

  /** Of what is lost on a table that local is the authority for, what was not when it was asked last. `recorded`: what an earlier process has told. */
  async untold(tableId: string, lost: readonly string[], recorded: () => Promise<readonly string[]>): Promise<readonly string[]> {
    const before = this.#told.get(tableId) ?? new Set(await recorded());
    this.#told.set(tableId, new Set(lost));
    return lost.filter((each) => !before.has(each));
  }

  #forget(tableId: string): void {
    this.#prints.delete(tableId);
    this.#nextMs.delete(tableId);
    this.#told.delete(tableId);
  }
}
