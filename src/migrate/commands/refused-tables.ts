/** A START of many tables says all that stands in the way at once: what is refused for one table is noted, and the others are looked at as well. */
import type { QualifiedName } from '../../../catalog/routing-snapshot.ts';
import { MigrationError } from '../../../config/migration-error.ts';
import { displayName } from '../table-details.ts';

/** More than these are counted only. */
const LISTED = 20;

export class RefusedTables {
  readonly #refused: { readonly name: QualifiedName; readonly error: MigrationError }[] = [];
  readonly #isOne: boolean;

  constructor(tables: number) {
    this.#isOne = tables === 1;
  }

  /** What was found out of the table; nothing when it was refused. What another attempt may not meet ends the statement. */
  async note<Value>(name: QualifiedName, work: () => Promise<Value>): Promise<readonly Value[]> {
    try {
      return [await work()];
    } catch (error) {
      if (this.#isOne || !(error instanceof MigrationError) || error.retryable) throw error;
      this.#refused.push({ name, error });
      return [];
    }
  }

  assertNone(): void {
    const [first] = this.#refused;
    if (first === undefined) return;
    const named = this.#refused.slice(0, LISTED);
    const rest = this.#refused.length > LISTED ? [`and ${this.#refused.length - LISTED} more`] : [];
    const list = [...named.map(({ name }) => displayName(name)), ...rest].join(', ');
    throw new MigrationError(first.error.code, `nothing was started: ${this.#refused.length === 1 ? 'this table stands' : 'these tables stand'} in the way: ${list}`, {
      tableName: displayName(first.name),
      detail: [...named.map(({ name, error }) => `${displayName(name)}: ${error.detail ?? error.message} → ${error.hint}`), ...rest].join('\n'),
      hint: `Do what stands behind each, or leave them out: EXCLUDING (${named.map(({ name }) => displayName(name)).join(', ')}). CHECK MIGRATION FOR SCHEMA … lists every finding.`,
    });
  }
}
