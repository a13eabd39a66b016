/**
 * A stream's folder on disk: what it is (identity, captured cluster, durable end) and one folder per table with its changes.
 *
 * `durable` only grows, and is written before the source is told that it may forget: a spool that was lost or put back from an older
 * copy shows by it (RULES 7, 8).
 */
import { randomUUID } from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { formatLsn, parseLsn } from '../change.ts';
import type { Relation } from '../change.ts';
import { writeDurably } from './write-durably.ts';

export interface SpoolIdentity {
  readonly id: string;
  readonly durable: bigint;
  /** Set while the spool holds the shared tables' changes too, from this position on: the target could not be reached. */
  readonly offlineFrom?: bigint | undefined;
}

/** Kept with the table: what the source's definition was when the plan was made (RULES 6). */
export interface TableMeta {
  readonly tableId: string;
  readonly columns: readonly BaselineColumn[] | undefined;
  /** Text form of `txid_current_snapshot()`: changes that it saw are in the copy (keyless tables). */
  readonly baseSnapshot?: string | undefined;
  /** Conflicts count from transactions that commit here or later (RULES 25); as `formatLsn` writes it. */
  readonly consistentFrom?: string | undefined;
}

/** Type of a column whose `typmod` alone says which definition it has. */
export const BY_DEFINITION = 0xffff_ffff;

export type BaselineColumn = Pick<Relation['columns'][number], 'name' | 'typeOid' | 'typmod'>;

export class Spool {
  readonly directory: string;
  #identity: SpoolIdentity;

  private constructor(directory: string, identity: SpoolIdentity) {
    this.directory = directory;
    this.#identity = identity;
  }

  static open(directory: string): Spool {
    fs.mkdirSync(directory, { recursive: true });
    const file = path.join(directory, 'spool.json');
    if (fs.existsSync(file)) {
      const saved = JSON.parse(fs.readFileSync(file, 'utf8')) as { id: string; durable: string; offlineFrom?: string };
      return new Spool(directory, { id: saved.id, durable: parseLsn(saved.durable), offlineFrom: saved.offlineFrom === undefined ? undefined : parseLsn(saved.offlineFrom) });
    }
    const spool = new Spool(directory, { id: randomUUID(), durable: 0n });
    spool.#save();
    return spool;
  }

  get identity(): SpoolIdentity {
    return this.#identity;
  }

  /** Every spooled change up to here is on disk. */
  advance(durable: bigint): void {
    if (durable <= this.#identity.durable) return;
    this.#identity = { ...this.#identity, durable };
    this.#save();
  }

  get offlineFrom(): bigint | undefined {
    return this.#identity.offlineFrom;
  }

  /** Durable before it returns. */
  goOffline(from: bigint): void {
    this.#identity = { ...this.#identity, offlineFrom: from };
    this.#save();
  }

  comeBack(): void {
    if (this.#identity.offlineFrom === undefined) return;
    this.#identity = { ...this.#identity, offlineFrom: undefined };
    this.#save();
  }

  /** Its stream begins from nothing: positions of the life before mean nothing to the next. */
  reset(): void {
    this.#identity = { id: randomUUID(), durable: 0n };
    this.#save();
  }

  tableDirectory(tableId: string): string {
    return path.join(this.directory, `t-${Buffer.from(tableId).toString('hex')}`);
  }

  readMeta(tableId: string): TableMeta | undefined {
    const file = this.#metaFile(tableId);
    return fs.existsSync(file) ? (JSON.parse(fs.readFileSync(file, 'utf8')) as TableMeta) : undefined;
  }

  writeMeta(meta: TableMeta): void {
    writeDurably(this.#metaFile(meta.tableId), JSON.stringify(meta));
  }

  forget(tableId: string): void {
    fs.rmSync(this.#metaFile(tableId), { force: true });
    fs.rmSync(this.tableDirectory(tableId), { recursive: true, force: true });
  }

  #metaFile(tableId: string): string {
    return `${this.tableDirectory(tableId)}.json`;
  }

  #save(): void {
    const { id, durable, offlineFrom } = this.#identity;
    writeDurably(path.join(this.directory, 'spool.json'), JSON.stringify({ id, durable: formatLsn(durable), ...(offlineFrom === undefined ? {} : { offlineFrom: formatLsn(offlineFrom) }) }));
  }
}
