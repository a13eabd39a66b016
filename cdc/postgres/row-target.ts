/** `UnitTarget` and `RowTarget` on PostgreSQL. */
import type { ApplyConnection } from '../apply/apply-connection.ts';
import { remedyOf } from '../apply/apply-error.ts';
import { fetchRows } from '../apply/fetch-rows.ts';
import { mergeRows } from '../apply/merge-rows.ts';
import type { Step } from '../apply/fold.ts';
import { heedMarks } from '../apply/marks.ts';
import { encodeRows } from '../apply/row-set.ts';
import type { RowTarget, Winner } from '../apply/row-target.ts';
import { checkSets, missingOrdinals, noteReread, prepareSet, runSteps, sendSets } from '../apply/run-steps.ts';
import type { PreparedSet } from '../apply/run-steps.ts';
import type { TableBinding } from '../apply/table-binding.ts';
import type { UnitTarget } from '../apply/unit-target.ts';
import { sqlstateOf } from './connect.ts';

const uniqueStates = new Set(['23505', '23P01']);

export function postgresUnits(connection: ApplyConnection): UnitTarget {
  return {
    rows: postgresRows(connection),
    send: (statement) => connection.send(statement),
    prepareSets,
    sendSets: (sets) => {
      const sent = sendSets(connection, sets);
      return (run) => checkSets(connection, sent, run);
    },
    heedMarks: (records, skipped, mayHaveMarks) => heedMarks(connection, records, skipped, mayHaveMarks),
  };
}

/** Undefined when the steps have to run one after the other. */
function prepareSets(steps: readonly Step[], isStrict: (table: TableBinding) => boolean): readonly PreparedSet[] | undefined {
  const sets: PreparedSet[] = [];
  for (const step of steps) {
    if (step.kind !== 'set') return undefined;
    sets.push(...prepareSet(step, isStrict(step.table)));
  }
  return sets;
}

function postgresRows(connection: ApplyConnection): RowTarget {
  return {
    send: (statement) => connection.send(statement),
    runSteps: (steps, run) => runSteps(connection, steps, run),
    missingOrdinals: (table, rows) => missingOrdinals(connection, table, rows),
    fetchRows: (table, rows) => fetchRows(connection, table, rows),
    deleteRow: async (table, row) => {
      await connection.sendSet(table.statements.delete, encodeRows([row], table.keyPlaces));
    },
    noteReread: (table, rows, run) => noteReread(connection, table, rows, run),
    noteWinners: (table, winners) => noteWinners(connection, table, winners),
    isLarger: async ({ plan: { type } }, value, other) => {
      const [answer] = await connection.rows({ text: `SELECT $1::text::${type} > $2::text::${type}`, values: [value, other] });
      return answer?.[0] === 't';
    },
    mergeRows: (table, functionName, local, remote) => mergeRows(connection, table, functionName, local, remote),
    remedyOf,
    isUniqueViolation: (error) => uniqueStates.has(sqlstateOf(error) ?? ''),
  };
}

async function noteWinners(connection: ApplyConnection, table: TableBinding, winners: readonly Winner[]): Promise<void> {
  if (winners.length === 0) return;
  await connection.send({
    text: `INSERT INTO causeway.writeback (table_id, key_json, local_row, remote_row) SELECT $1, k, l, r FROM unnest($2::text[], $3::text[], $4::text[]) AS u(k, l, r)
           ON CONFLICT (table_id, key_json) DO UPDATE SET local_row = EXCLUDED.local_row, remote_row = EXCLUDED.remote_row, noted_at = now()`,
    values: [table.plan.tableId, winners.map(({ key }) => key), winners.map(({ local }) => JSON.stringify(local)), winners.map(({ remote }) => JSON.stringify(remote))],
  });
}
