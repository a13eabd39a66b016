/**
 * A stream's folder on disk: what it is (identity, captured cluster, durable end) and one folder per table with its changes.
 *
 * `durable` only grows, and is written before the source is told that it may forget: a spool that was lost or put back from an older
 * copy shows by it (RULES 7, 8). With it is written how far each table's log goes at least: one that was lost, cut short or changed shows by that.
 *
 * A table that applies by itself and has no file with its meta data has lost changes: `lose` takes that file away before anything of the log, since
 * taking away needs no room on a disk that is full.
 */
import { randomUUID } from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { formatLsn, parseLsn } from '../change.ts';
import type { Relation } from '../change.ts';
import { isFileDamage } from './damaged-log.ts';
import { syncDirectory, writeDurably } from './write-durably.ts';

export interface SpoolIdentity {
  readonly id: string;
  readonly durable: bigint;
  /** Set while the spool holds the shared tables' changes too, from this position on: the target could not be reached. */
  readonly offlineFrom?: bigint | undefined;
  /** By table, the place in its log up to which everything was on disk when `durable` was written. Undefined: written by a version that did not note it. */
  readonly ends: ReadonlyMap<string, number> | undefined;
}

interface SavedIdentity {
  readonly id: string;
  readonly durable: string;
  readonly offlineFrom?: string;
  readonly ends?: Readonly<Record<string, number>>;
}

/** Kept with the table: what the source's definition was when the plan was made (RULES 6). */
export interface TableMeta {
  readonly tableId: string;
  readonly columns: readonly BaselineColumn[] | undefined;
  /** Text form of `txid_current_snapshot()`: changes that it saw are in the copy (keyless tables). */
  readonly baseSnapshot?: string | undefined;
  /** Conflicts count from transactions that commit here or later (RULES 25); as `formatLsn` writes it. */
  readonly consistentFrom?: string | undefined;
  /** Changes of the table are not there any more, and why: it waits to be loaded again, and nothing is kept for it. */
  readonly lost?: string | undefined;
  /** With `lost`: of rows that were being copied. */
  readonly isCopyLost?: boolean | undefined;
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
    const saved = readIdentity(file);
    if (saved) {
      const { id, durable, offlineFrom, ends } = saved;
      return new Spool(directory, { id, durable: parseLsn(durable), offlineFrom: offlineFrom === undefined ? undefined : parseLsn(offlineFrom), ends: ends && new Map(Object.entries(ends)) });
    }
    const spool = new Spool(directory, freshIdentity());
    spool.#save();
    return spool;
  }

  get identity(): SpoolIdentity {
    return this.#identity;
  }

  /** Every spooled change up to here is on disk; `ends`: the logs' ends that were written there for it. */
  advance(durable: bigint, ends?: Iterable<readonly [tableId: string, end: number]>): void {
    if (durable <= this.#identity.durable) return;
    this.#identity = { ...this.#identity, durable, ends: ends ? this.#withEnds(ends) : this.#identity.ends };
    this.#save();
  }

  /** Never less than before: a log that was found shorter than it was is still looked at by what it had. */
  #withEnds(ends: Iterable<readonly [tableId: string, end: number]>): ReadonlyMap<string, number> {
    const noted = new Map(this.#identity.ends);
    for (const [tableId, end] of ends) if (end > (noted.get(tableId) ?? 0)) noted.set(tableId, end);
    return noted;
  }

  /** How far the table's log goes at least; undefined where that is not known. */
  endOf(tableId: string): number | undefined {
    return this.#identity.ends && (this.#identity.ends.get(tableId) ?? 0);
  }

  /** Durable before it returns: the next log of the table begins anew. */
  #forgetEnd(tableId: string): void {
    if ((this.endOf(tableId) ?? 0) === 0) return;
    const ends = new Map(this.#identity.ends);
    ends.delete(tableId);
    this.#identity = { ...this.#identity, ends };
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
    this.#identity = freshIdentity();
    this.#save();
  }

  tableDirectory(tableId: string): string {
    return path.join(this.directory, `t-${Buffer.from(tableId).toString('hex')}`);
  }

  /** Undefined where there is none that can be read. */
  readMeta(tableId: string): TableMeta | undefined {
    const file = this.#metaFile(tableId);
    if (!fs.existsSync(file)) return undefined;
    try {
      return JSON.parse(fs.readFileSync(file, 'utf8')) as TableMeta;
    } catch (error) {
      if (error instanceof SyntaxError || isFileDamage(error)) return undefined;
      throw error;
    }
  }

  writeMeta(meta: TableMeta): void {
    writeDurably(this.#metaFile(meta.tableId), JSON.stringify(meta));
  }

  /** The table's log is not used any more: it is shared, or begins anew. Not open. */
  dropLog(tableId: string): void {
    this.#forgetEnd(tableId);
    fs.rmSync(this.tableDirectory(tableId), { recursive: true, force: true });
  }

  forget(tableId: string): void {
    this.dropLog(tableId);
    fs.rmSync(this.#metaFile(tableId), { force: true });
  }

  /** Changes of the table are lost, or are now: durable before anything of its log goes. */
  lose(meta: TableMeta): void {
    fs.rmSync(this.#metaFile(meta.tableId), { force: true });
    syncDirectory(this.directory);
    fs.rmSync(this.tableDirectory(meta.tableId), { recursive: true, force: true });
    try {
      this.writeMeta(meta);
      this.#forgetEnd(meta.tableId);
    } catch {
      // A disk without room. The reason is then not known to the next process; that the table is lost is.
    }
  }

  #metaFile(tableId: string): string {
    return `${this.tableDirectory(tableId)}.json`;
  }

  #save(): void {
    const { id, durable, offlineFrom, ends } = this.#identity;
    const saved: SavedIdentity = { id, durable: formatLsn(durable), ...(offlineFrom === undefined ? {} : { offlineFrom: formatLsn(offlineFrom) }), ...(ends === undefined ? {} : { ends: Object.fromEntries(ends) }) };
    writeDurably(path.join(this.directory, 'spool.json'), JSON.stringify(saved));
  }
}

/** One that cannot be read is none: what was in the spool is then not what the target knows of. */
function readIdentity(file: string): SavedIdentity | undefined {
  if (!fs.existsSync(file)) return undefined;
  try {
    return JSON.parse(fs.readFileSync(file, 'utf8')) as SavedIdentity;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function freshIdentity(): SpoolIdentity {
  return { id: randomUUID(), durable: 0n, ends: new Map() };
}
