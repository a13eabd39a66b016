/**
 * What validations have said of each table, on disk: a failed one stands against a switch also after a restart.
 *
 * A table is good or bad. It becomes bad by any comparison that found it so; it becomes good again only by one that read it whole, and that began after it was told to be bad. All times are
 * the proxy's own: a comparison asks for its time before it reads the first row.
 */
import * as fs from 'node:fs';
import { MigrationError } from '../../../config/migration-error.ts';
import { writeDurably } from './write-durably.ts';

/** One table's part of what a comparison has found. */
export interface TableVerdict {
  /** `ks.table`. */
  readonly table: string;
  readonly isGood: boolean;
  /** Every row of it was looked at. */
  readonly isWhole: boolean;
  /** 0 to 1: how much of the ring was looked at. */
  readonly share: number;
  readonly rows: number;
  readonly different: number;
  readonly summary: string;
}

export interface Verdict {
  readonly mode: string;
  readonly beganMs: number;
  readonly tables: readonly TableVerdict[];
}

export interface TableRecord {
  readonly passed: boolean;
  readonly mode: string;
  readonly summary: string;
  readonly rows: number;
  readonly different: number;
  readonly share: number;
  readonly heardMs: number;
  /** Begin of the last comparison that was whole and good; null when there was none. */
  readonly goodSinceMs: number | null;
}

export class Validations {
  readonly #file: string;
  readonly #tables: Map<string, TableRecord>;

  /** Throws MIG091 when what was there cannot be read: a failed validation may be in it. */
  constructor(file: string) {
    this.#file = file;
    try {
      this.#tables = new Map(fs.existsSync(file) ? Object.entries(JSON.parse(fs.readFileSync(file, 'utf8')) as Record<string, TableRecord>) : []);
    } catch (error) {
      throw new MigrationError('MIG091', 'What validations have said cannot be read', { detail: `${file}: ${error instanceof Error ? error.message : String(error)}`, hint: 'Delete the file, start again, and validate every table.' });
    }
  }

  get tables(): ReadonlyMap<string, TableRecord> {
    return this.#tables;
  }

  /** Durable when it returns. */
  note({ mode, beganMs, tables }: Verdict, nowMs: number): void {
    for (const { table, isGood, isWhole, share, rows, different, summary } of tables) {
      const known = this.#tables.get(table);
      const began = Math.min(beganMs, nowMs);
      const isProof = isGood && isWhole;
      // Good, but not a proof against what is known: the older, worse one stays.
      if (isGood && known?.passed === false && !(isProof && began >= known.heardMs)) continue;
      const goodSinceMs = isProof ? Math.max(began, known?.goodSinceMs ?? 0) : known?.goodSinceMs ?? null;
      this.#tables.set(table, { passed: isGood, mode, summary, rows, different, share, heardMs: nowMs, goodSinceMs });
    }
    this.#store();
  }

  #store(): void {
    writeDurably(this.#file, `${JSON.stringify(Object.fromEntries(this.#tables), undefined, 2)}\n`);
  }

  /** What was said of a table before was about something else. */
  forget(table: string): void {
    if (this.#tables.delete(table)) this.#store();
  }

  /** Tables that are bad; with `of` (`ks` or `ks.table`) those that it concerns. */
  blocking(of?: string): readonly string[] {
    const concerns = (table: string): boolean => of === undefined || table === of || (!of.includes('.') && table.startsWith(`${of}.`));
    return [...this.#tables].filter(([table, { passed }]) => !passed && concerns(table)).map(([table]) => table).sort();
  }

  /** Since when both clusters are known to have held the same of a table; undefined when they are not. */
  goodSince(table: string): number | undefined {
    const record = this.#tables.get(table);
    return record?.passed === true ? record.goodSinceMs ?? undefined : undefined;
  }
}
