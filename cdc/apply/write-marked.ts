/**
 * Writes rows that a transaction of the source is about to commit to local, and marks them (RULES 24), in a transaction that is left open. One
 * round trip; what goes wrong leaves nothing.
 */
import type { QualifiedName } from '../../catalog/routing-snapshot.ts';
import { tagMarkedSql, untagMarkedSql } from '../postgres/marks.ts';
import { writeTuple } from '../postgres/pgoutput.ts';
import type { ApplyConnection, Statement } from './apply-connection.ts';
import { keyRow } from './key-row.ts';
import { encodeRows } from './row-set.ts';
import type { RowRef } from './row-set.ts';
import type { SetStatement } from './statements.ts';
import { bindTable } from './table-binding.ts';
import type { TableBinding } from './table-binding.ts';

export interface MarkedTable {
  readonly tableId: string;
  readonly local: QualifiedName;
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  /** Names of the columns that identify a row. */
  readonly key: readonly string[];
  /** By key, as the JSON array of its texts; undefined: the row is gone. Values in the order of `columns`, as text in the change path's style. */
  readonly rows: ReadonlyMap<string, readonly (string | null)[] | undefined>;
}

export interface MarkedTransaction {
  /** Of the source, as its stream tells it. */
  readonly transactionId: number;
  readonly tables: readonly MarkedTable[];
}

const bindings = new WeakMap<MarkedTable['columns'], TableBinding>();

/** Resolves when all is written, and the transaction open. Rejects with everything rolled back. */
export async function writeMarked(connection: ApplyConnection, { transactionId, tables }: MarkedTransaction): Promise<void> {
  const sent: Promise<unknown>[] = [];
  const send = (statement: Statement): void => void sent.push(connection.send(statement));
  const sendSet = (statement: SetStatement, rows: readonly RowRef[]): void => {
    if (rows.length > 0) sent.push(connection.sendSet(statement, encodeRows(rows, statement.columns.map((column) => column.at))));
  };
  send({ text: 'BEGIN' });
  send({ text: tagMarkedSql });
  for (const table of [...tables].sort((a, b) => (a.tableId < b.tableId ? -1 : 1))) {
    send({ text: 'SELECT causeway.mark_rows($1, $2::text[], $3::bigint)', values: [table.tableId, [...table.rows.keys()], String(transactionId)] });
    const binding = bindingOf(table);
    const written: RowRef[] = [];
    const gone: RowRef[] = [];
    for (const [key, values] of table.rows) {
      if (values) written.push({ buffer: writeTuple(values), at: 0 });
      else gone.push(keyRow(binding, key));
    }
    sendSet(binding.statements.delete, gone);
    sendSet(binding.statements.upsert, written);
  }
  send({ text: untagMarkedSql });
  const failed = (await Promise.allSettled(sent)).find((result) => result.status === 'rejected');
  if (!failed) return;
  await connection.send({ text: 'ROLLBACK' }).catch(() => undefined);
  throw failed.reason;
}

/** The routes of one epoch have one object for a table's columns. */
function bindingOf({ tableId, local, columns, key }: MarkedTable): TableBinding {
  const known = bindings.get(columns);
  if (known) return known;
  const planned = columns.map(({ name, type }, index) => ({ name, type, typeOid: 0, attnum: index + 1, notNull: false, canonicalText: true, toastable: false }));
  const plan = { tableId, source: local, target: local, columns: planned, key, keyKind: 'primary', uniqueKeys: [], foreignKeys: [], where: undefined, isPartitioned: false, definitionHash: '' } as const;
  const relation = { oid: 0, ...local, replicaIdentity: 'default', columns: columns.map(({ name }) => ({ name, typeOid: 0, typmod: -1, inKey: key.includes(name) })) } as const;
  const binding = bindTable(plan, relation, { identityAlways: new Set(), generated: new Set() });
  bindings.set(columns, binding);
  return binding;
}
