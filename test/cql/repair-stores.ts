/** What the scanner does with the repair list, done to the mock stores directly: the partitions that an entry names are made the same as on the side that is right. */
import { parse } from '../support/cql/parse.ts';
import { Reader } from '../support/cql/bytes.ts';
import { opcodes, readParameters } from '../support/cql/frames.ts';
import type { NodeAddress } from '../support/cql/database.ts';
import type { MockCluster } from '../support/cql/mock-cluster.ts';
import type { Modification } from '../support/cql/ast.ts';
import { CqlError } from '../support/cql/cql-error.ts';
import { targetsOf } from '../support/cql/modify.ts';
import type { WriteContext } from '../support/cql/modify.ts';
import type { Table } from '../support/cql/store.ts';
import type { RepairEntry } from '../../src/cql/intents/repair-list.ts';

interface Written { readonly statement: Modification; readonly values: readonly (Buffer | null | undefined)[]; readonly names: readonly string[] | undefined; readonly bindNames: readonly string[] }

export function repairFrom(right: MockCluster, wrong: MockCluster, entries: readonly RepairEntry[]): void {
  const here = right.database.nodes[0];
  if (!here) throw new Error('the cluster was never open');
  for (const entry of entries) {
    if (entry.body === '') throw new Error(`an entry without a key: ${JSON.stringify(entry)}`);
    for (const { statement, values, names, bindNames } of writtenBy(entry)) {
      const ref = { keyspace: statement.table.keyspace ?? entry.keyspace, name: statement.table.name };
      const tables = tablesOf([right, wrong], ref, here, entry);
      if (!tables) continue;
      const binds = names ? bindNames.map((name) => values[names.indexOf(name)]) : values;
      const context = { binds, userTypes: right.database.userTypes(ref.keyspace), call: () => null, nowSeconds: 0, timestamp: 0n, listPath: () => '' };
      for (const key of keysOf(tables[0], statement, context, entry)) copyPartition(tables[0], tables[1], key);
    }
  }
}

/** What no cluster takes is written nowhere, and needs no repair. */
function keysOf(table: Table, statement: Modification, context: WriteContext, { reason }: RepairEntry): (readonly Buffer[])[] {
  try {
    return targetsOf(table, statement, context).map(({ partition }) => partition.key);
  } catch (error) {
    if (reason === 'refused' && error instanceof CqlError) return [];
    throw error;
  }
}

/** None when there is no such table, which is another thing that no cluster takes. */
function tablesOf(clusters: readonly MockCluster[], ref: { readonly keyspace: string; readonly name: string }, here: NodeAddress, { reason }: RepairEntry): [Table, Table] | undefined {
  const [right, wrong] = clusters.map(({ database }) => database.userTables().find(({ keyspace, name }) => keyspace === ref.keyspace && name === ref.name));
  if (right && wrong) return [right, wrong];
  if (reason === 'refused') return undefined;
  throw new Error(`there is no table ${ref.keyspace}.${ref.name} at ${here.address}`);
}

function copyPartition(from: Table, to: Table, key: readonly Buffer[]): void {
  const original = from.partition(key);
  to.partitions.delete(original.order);
  const copy = to.partition(key);
  copy.deletedAt = original.deletedAt;
  copy.ranges.push(...original.ranges);
  const pairs: [(typeof original)['statics'], (typeof original)['statics']][] = [[original.statics, copy.statics], ...[...original.rows.values()].map((row): [typeof row, typeof row] => [row, to.row(copy, row.clustering)])];
  for (const [row, twin] of pairs) {
    twin.marker = row.marker;
    twin.deletedAt = row.deletedAt;
    for (const [name, group] of row.cells) twin.cells.set(name, { ...group, elements: group.elements && new Map(group.elements) });
  }
}

function writtenBy(entry: RepairEntry): Written[] {
  const reader = new Reader(Buffer.from(entry.body, 'base64'));
  const texts = [...entry.texts];
  const modifications = (text: string, values: readonly (Buffer | null | undefined)[], names?: readonly string[]): Written[] => {
    const { statement, bindNames } = parse(text);
    const all = statement.is === 'batch' ? statement.children : [statement];
    return all.flatMap((each): Written[] => (each.is === 'insert' || each.is === 'update' || each.is === 'delete' ? [{ statement: each, values, names, bindNames }] : []));
  };
  if (entry.opcode === opcodes.BATCH) {
    const found: Written[] = [];
    reader.u8();
    for (let left = reader.u16(); left > 0; left -= 1) {
      const isPrepared = reader.u8() === 1;
      const text = isPrepared ? (reader.shortBytes(), texts.shift() ?? '') : reader.longString();
      const values: (Buffer | null | undefined)[] = [];
      for (let count = reader.u16(); count > 0; count -= 1) values.push(reader.value());
      found.push(...modifications(text, values));
    }
    return found;
  }
  const text = entry.opcode === opcodes.EXECUTE ? (reader.shortBytes(), texts[0] ?? '') : reader.longString();
  const { values, names } = readParameters(reader);
  return modifications(text, values, names);
}
