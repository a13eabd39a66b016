/** SHOW MIGRATION TYPE LOSS and ALTER MIGRATION … ACCEPT TYPE LOSS. */
import type { TableRecord, TypeLossRecord } from '../../../catalog/records.ts';
import { MigrationError } from '../../../config/migration-error.ts';
import type { AcceptTypeLoss, ShowTypeLoss } from '../../../grammar/migration/statement.ts';
import { displayName } from '../table-details.ts';
import { table } from './answer.ts';
import type { SuccessfulAnswer } from './answer.ts';
import { findRecord, recordsOf } from './command-context.ts';
import type { CommandContext } from './command-context.ts';

const ways: Readonly<Record<TypeLossRecord['direction'], string>> = { to_local: 'to local', to_source: 'to the source', definition: 'definition' };

export async function showTypeLoss(context: CommandContext, statement: ShowTypeLoss): Promise<SuccessfulAnswer> {
  const records = statement.table === undefined ? await context.catalog.tables() : [await findRecord(context, statement.table)];
  const rows = [];
  for (const record of records) {
    await saveCounts(context, record);
    for (const loss of await context.catalog.typeLosses(record.tableId)) {
      rows.push([displayName(record.source), loss.column, ways[loss.direction], loss.kind, loss.policy, loss.values, examplesText(loss), loss.acceptedAt, loss.acceptedBy]);
    }
  }
  return table('SHOW', [['Table'], ['Column'], ['Direction'], ['Loss'], ['Policy'], ['Values', 'int8'], ['Examples'], ['Accepted', 'timestamptz'], ['Accepted By']], rows);
}

export async function acceptTypeLoss(context: CommandContext, statement: AcceptTypeLoss): Promise<SuccessfulAnswer> {
  const { scope, column } = statement;
  const rows: (readonly (string | number)[])[] = [];
  for (const record of await recordsOf(context, scope)) {
    await saveCounts(context, record);
    if (column !== undefined) await assertOnRecord(context, record, column);
    for (const loss of await context.catalog.acceptTypeLosses(record.tableId, { column, user: context.actor.user })) {
      rows.push([displayName(record.source), loss.column, ways[loss.direction], loss.kind, loss.values]);
    }
  }
  return table('ALTER MIGRATION', [['Table'], ['Column'], ['Direction'], ['Loss'], ['Values', 'int8']], rows);
}

/** What streams and loads have counted is to be seen, and accepted, too. Without their source there is nothing that still counts. */
async function saveCounts(context: CommandContext, record: TableRecord): Promise<void> {
  if (record.completedAt !== undefined) return;
  await (await context.flow(record.sourceServer)).losses.save();
}

/** A misspelt name must not look like success. */
async function assertOnRecord(context: CommandContext, record: TableRecord, column: string): Promise<void> {
  const names = [...new Set((await context.catalog.typeLosses(record.tableId)).map((loss) => loss.column))];
  if (names.includes(column)) return;
  throw new MigrationError('MIG072', `no loss of ${column} of ${displayName(record.source)} is on record`, { detail: names.length === 0 ? 'The table has none.' : `On record: ${names.join(', ')}.`, hint: `SHOW MIGRATION TYPE LOSS FOR TABLE ${displayName(record.source)};` });
}

/** `'0000-00-00' → NULL; '2024-02-30' → '2024-02-29'`. */
function examplesText({ direction, examples }: TypeLossRecord): string {
  if (direction === 'definition') return examples.map(({ value }) => value).join('; ');
  return examples.map(({ value, becomes }) => `'${value}' → ${becomes === null ? 'NULL' : `'${becomes}'`}`).join('; ');
}
