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

  /** Local's rows become the source's, as long as that is the authority. */
  async repair(request: RepairRequest): Promise<RepairResult> {
    const { strategy, mismatches, plan, authority, signal } = request;
    if (strategy === 'SKIP' || strategy === 'MANUAL') return { written: 0, deleted: 0, left: mismatches.length };
    if (strategy === 'COPY_TO_SOURCE') throw refused('rows are not copied one by one to MySQL', 'The change stream alone writes there.');
    if (authority === 'local') throw refused('local is the authority: its rows are not written over', 'What the source lacks of them the change stream brings there.');
    // Two engines may not mean the same by a predicate, and what it leaves out on one side would be deleted on the other.
    if (plan.where !== undefined) throw refused('rows of a predicate are not copied between two engines', 'Each would read it in its own way.');
    const source = new MysqlClient(this.#source);
    const local = await connectServer(this.#local, { applicationName: 'causeway validate', signal });
    try {
      return await repairFromMysql(source, local, request, this.#types);
    } finally {
      await Promise.all([source.close(), local.end().catch(() => undefined)]);
    }
  }
}

function refused(message: string, detail: string): MigrationError {
  return new MigrationError('MIG074', message, { detail, hint: 'RESYNC MIGRATION FOR TABLE … loads the table again; VALIDATE … REPAIR COPY_FROM_SOURCE copies rows to local before the cutover.' });
}
