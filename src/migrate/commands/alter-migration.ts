/** ALTER MIGRATION: options of tables that have started, as far as they can be changed under them. */
import type { TableRecord } from '../../../catalog/records.ts';
import { MigrationError } from '../../../config/migration-error.ts';
import { defaultOptions } from '../../../grammar/migration/options.ts';
import type { AlterMigration } from '../../../grammar/migration/statement.ts';
import { displayName } from '../table-details.ts';
import type { SuccessfulAnswer } from './answer.ts';
import { recordsOf } from './command-context.ts';
import type { CommandContext } from './command-context.ts';
import { forEach } from './control-tables.ts';

export async function alterMigration(context: CommandContext, statement: AlterMigration): Promise<SuccessfulAnswer> {
  const records = await recordsOf(context, statement.scope);
  return forEach(context, 'ALTER MIGRATION', records, statement.scope.type === 'table', async (record) => {
    refuseMoveOfReads(record, statement);
    await context.catalog.changeTable(record.tableId, { options: { ...record.options, ...statement.set } });
    await context.publisher.publish();
  });
}

/** Between the source and local reads move by barriers, when the table comes to that state; which side answers does not change here. */
function refuseMoveOfReads({ options, source }: TableRecord, { set }: AlterMigration): void {
  const now = options['readFrom'] ?? defaultOptions.readFrom;
  if (set.readFrom === undefined || set.readFrom === now) return;
  if (set.readFrom !== 'local' && now !== 'local') return;
  throw new MigrationError('MIG074', `reads of ${displayName(source)} cannot move from '${String(now)}' to '${set.readFrom}' now`, {
    detail: "Only 'source' and 'compare' can take each other's place in a migration that has started.", hint: 'ABORT MIGRATION, and START it with the other read_from.',
  });
}
