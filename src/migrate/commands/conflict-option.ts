/** What a `conflict_strategy` asks of the table, the source and local: refused at START rather than found out at the first conflict (RULES 25). */
import type { ClientBase } from 'pg';
import { quoteTable } from '../../../cdc/postgres/quote.ts';
import type { TablePlan } from '../../../cdc/table-plan.ts';
import { MigrationError } from '../../../config/migration-error.ts';
import type { MigrationOptions } from '../../../grammar/migration/options.ts';
import { quoteTableName } from '../../../grammar/names.ts';
import { displayName } from '../table-details.ts';
import type { SourceFlow } from '../source-flow.ts';

/** Types of which one value is later than another. */
const orderedTypes = /^(timestamp|time|date|smallint|integer|bigint|numeric|xid8|pg_lsn)/;

export async function assertConflictStrategy(flow: SourceFlow, plan: TablePlan, options: MigrationOptions): Promise<void> {
  const { conflictStrategy: strategy } = options;
  if (strategy === 'source_wins') return;
  const tableName = displayName(plan.source);
  const refuse = (message: string, hint: string): never => {
    throw new MigrationError('MIG071', `conflict_strategy '${strategy}' ${message}`, { tableName, hint });
  };
  if (plan.keyKind === 'full') refuse(`needs a key, and ${tableName} has none: its rows cannot be told apart`, "Use 'source_wins', or give the table a primary key.");
  if (plan.where !== undefined) refuse("does not go together with where_clause: a row that local lacks may only have left the filter", "Use 'source_wins', or leave where_clause out.");
  if (strategy === 'fail_on_conflict') return;
  if (!(await flow.sourceSide.mayUpdate(plan.source))) {
    refuse(`writes the row of local to the source where it wins, and the source's user may not update ${tableName}`, `GRANT UPDATE ON ${quoteTable(plan.source)} TO it, or use 'source_wins'.`);
  }
  if (strategy === 'timestamp_wins') assertTimestampColumn(plan, options.conflictTimestampColumn, refuse);
  if (strategy === 'custom_merge' && options.conflictMergeFunction !== null) {
    const written = `${quoteTableName(options.conflictMergeFunction)}(jsonb, jsonb)`;
    if (!(await flow.localAdmin.use((client) => isMergeFunction(client, written)))) {
      refuse(`calls ${written} RETURNS jsonb, and local has no such function`, 'CREATE FUNCTION … (local jsonb, source jsonb) RETURNS jsonb on local; name it with its schema.');
    }
  }
}

function assertTimestampColumn(plan: TablePlan, name: string | null, refuse: (message: string, hint: string) => never): void {
  const column = plan.columns.find((each) => each.name === name);
  if (!column) refuse(`compares column ${name}, which ${displayName(plan.source)} does not have or which is not carried`, `Its columns: ${plan.columns.map((each) => each.name).join(', ')}.`);
  else if (!orderedTypes.test(column.type)) refuse(`compares column ${column.name}, whose type ${column.type} does not say which row is newer`, 'Name a column with a time, or with a number that grows with every change.');
}

async function isMergeFunction(client: ClientBase, written: string): Promise<boolean> {
  const { rows } = await client.query<{ ok: boolean }>("SELECT prorettype = 'jsonb'::regtype AND NOT proretset AS ok FROM pg_proc WHERE oid = to_regprocedure($1)", [written]);
  return rows[0]?.ok === true;
}
