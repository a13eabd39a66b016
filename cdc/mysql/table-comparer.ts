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

  repair({ strategy, mismatches }: RepairRequest): Promise<RepairResult> {
    if (strategy === 'SKIP' || strategy === 'MANUAL') return Promise.resolve({ written: 0, deleted: 0, left: mismatches.length });
    return Promise.reject(new MigrationError('MIG074', 'rows are not copied one by one between MySQL and local', { hint: 'RESYNC MIGRATION FOR TABLE … loads the table again.' }));
  }
}
