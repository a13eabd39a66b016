/** `TableComparer` of two PostgreSQL databases. */
import type { ClientBase } from 'pg';
import { repairRows } from '../validate/repair.ts';
import type { RepairResult } from '../validate/repair.ts';
import type { RepairRequest, TableComparer } from '../validate/table-comparer.ts';
import { validateTable } from '../validate/validate-table.ts';
import type { ComparisonOptions } from '../validate/validate-table.ts';
import type { ValidationReport } from '../validate/validation-report.ts';
import { connectServer } from './connect.ts';
import type { ServerAddress } from './server-address.ts';

export class PostgresTableComparer implements TableComparer {
  readonly #source: ServerAddress;
  readonly #local: ServerAddress;

  constructor(source: ServerAddress, local: ServerAddress) {
    this.#source = source;
    this.#local = local;
  }

  compare(options: ComparisonOptions & { readonly signal: AbortSignal }): Promise<ValidationReport> {
    return this.#connected(options.signal, (source, local) => validateTable({ ...options, source, local }));
  }

  repair({ stream, ...request }: RepairRequest): Promise<RepairResult> {
    return this.#connected(request.signal, (source, local) => repairRows({
      ...request, source, local, replicaRole: true,
      tagTransaction: async (client) => void (await client.query('UPDATE causeway.applied SET updated_at = now() WHERE stream = $1', [stream])),
    }));
  }

  async #connected<T>(signal: AbortSignal, work: (source: ClientBase, local: ClientBase) => Promise<T>): Promise<T> {
    const [source, local] = await Promise.all([this.#source, this.#local].map((address) => connectServer(address, { applicationName: 'causeway validate', signal })));
    if (!source || !local) throw new Error('two connections were asked for');
    try {
      return await work(source, local);
    } finally {
      await Promise.all([source, local].map((client) => client.end().catch(() => undefined)));
    }
  }
}
