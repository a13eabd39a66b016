/** `TableComparer` of a MySQL or MariaDB database and local. */
import { MigrationError } from '../../config/migration-error.ts';
import { connectServer } from '../postgres/connect.ts';
import type { ServerAddress } from '../postgres/server-address.ts';
import type { RepairResult } from '../validate/repair.ts';
import type { RepairRequest, TableComparer } from '../validate/table-comparer.ts';
import { compareTables } from '../validate/validate-table.ts';
import type { ComparisonOptions } from '../validate/validate-table.ts';
import type { ValidationReport } from '../validate/validation-report.ts';
import { compareWithMysql } from './compared-table.ts';
import { MysqlClient } from './mysql-client.ts';
import { repairFromMysql } from './repair-rows.ts';
import { repairToMysql } from './repair-source.ts';
import type { TypeRules } from './source-column.ts';

export class MysqlTableComparer implements TableComparer {
  readonly #source: ServerAddress;
  readonly #local: ServerAddress;
  readonly #types: TypeRules;

  constructor(source: ServerAddress, local: ServerAddress, types: TypeRules) {
    this.#source = source;
    this.#local = local;
    this.#types = types;
  }

  async compare(options: ComparisonOptions & { readonly signal: AbortSignal }): Promise<ValidationReport> {
    const source = new MysqlClient(this.#source);
    const local = await connectServer(this.#local, { applicationName: 'causeway validate', signal: options.signal });
    try {
      return await compareTables(await compareWithMysql(source, local, options.plan, this.#types), options);
    } finally {
      await Promise.all([source.close(), local.end().catch(() => undefined)]);
    }
  }

  /** Rows of a predicate (`plan.where`) are known by their keys: what the predicate means to either engine picks them, and no more. */
  async repair(request: RepairRequest): Promise<RepairResult> {
    const { strategy, mismatches, plan, authority, signal } = request;
    if (strategy === 'SKIP' || strategy === 'MANUAL') return { written: 0, deleted: 0, left: mismatches.length };
    if (strategy === 'COPY_FROM_SOURCE' && authority === 'local') {
      throw new MigrationError('MIG074', 'local is the authority: its rows are not written over', { detail: 'What the source lacks of them the change stream brings there.', hint: 'VALIDATE … REPAIR COPY_TO_SOURCE copies rows to the source; ROLLBACK MIGRATION makes that the authority again.' });
    }
    assertOneSpelling(request);
    const whole = { ...request, plan: { ...plan, where: undefined } };
    const local = await connectServer(this.#local, { applicationName: 'causeway validate', signal });
    const source = new MysqlClient(this.#source);
    try {
      return await (strategy === 'COPY_TO_SOURCE' ? repairToMysql(this.#source, local, whole, this.#types) : repairFromMysql(source, local, whole, this.#types));
    } finally {
      await Promise.all([source.close(), local.end().catch(() => undefined)]);
    }
  }
}

/** The engines do not write an exponent alike, nor begin to at the same number: what one side calls a row the other has not. */
function assertOneSpelling({ plan, mismatches }: RepairRequest): void {
  const floats = plan.key.map((name) => /^(?:real|double precision)$/.test(plan.columns.find((column) => column.name === name)?.type ?? ''));
  const odd = mismatches.find(({ key }) => key.some((text, at) => floats[at] === true && hasExponent(Math.abs(Number(text)))));
  if (odd === undefined) return;
  throw new MigrationError('MIG074', `rows of ${plan.source.name} whose key is a very large or very small floating-point number are not copied one by one`, { detail: `Key (${odd.key.join(', ')}) is spelled otherwise on the other side. Nothing was written.`, tableName: plan.source.name, hint: 'RESYNC MIGRATION FOR TABLE … loads the table again.' });
}

function hasExponent(size: number): boolean {
  return size !== 0 && (size < 1e-4 || size >= 1e15);
}
