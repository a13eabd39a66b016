/** What a table may be called on local (`target_schema`, `target_table`). */
import { partitionSchema } from '../../../cdc/postgres/create-schema.ts';
import type { TableDefinition } from '../../../cdc/postgres/definition.ts';
import type { TablePlan } from '../../../cdc/table-plan.ts';
import { MigrationError } from '../../../config/migration-error.ts';
import { displayName } from '../table-details.ts';
import type { SourceFlow } from '../source-flow.ts';
import { same } from './command-context.ts';

/** A statement with a name that the source has for one table and local for another could not be told apart. */
export async function assertNameIsFree(flow: SourceFlow, definition: TableDefinition, plan: TablePlan): Promise<void> {
  if (same(plan.source, plan.target)) return;
  const pairs = [[plan.source, plan.target], ...definition.partitions.map((part) => [part, { schema: partitionSchema(part.schema, definition, plan), name: part.name }])] as const;
  const asked = pairs.flatMap(([own, wanted]) => (same(own, wanted) ? [] : [wanted]));
  const taken = await flow.sourceSide.takenNames(asked);
  const [first] = taken;
  if (!first) return;
  throw new MigrationError('MIG071', `${displayName(plan.source)} cannot be ${displayName(first)} on local: the source has another relation of that name`, {
    tableName: displayName(plan.source), detail: 'It could not be said which of the two a statement means.', hint: 'Choose another target_schema or target_table.',
  });
}

/** A PostgreSQL client's statement with a name that its source has means that relation. */
export async function assertNotAtHome(home: SourceFlow, plan: TablePlan): Promise<void> {
  const [first] = await home.sourceSide.takenNames([plan.source, plan.target]);
  if (!first) return;
  throw new MigrationError('MIG071', `${displayName(plan.source)} cannot be migrated: the PostgreSQL source has a relation ${displayName(first)}`, {
    tableName: displayName(plan.source), detail: 'It could not be said which of the two a statement means.', hint: 'Rename the one on the PostgreSQL source, or use a gateway whose PostgreSQL source has no such relation.',
  });
}
