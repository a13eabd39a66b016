/** One table on both sides, with all that is needed to read a row of it again. */
import type { Runtime } from '../../../config/runtime.ts';
import type { Cluster, Side } from '../cluster.ts';
import type { Quietly } from '../load/row-writer.ts';
import { RowReader, readersOf } from '../row-reader.ts';
import type { RowPart, TableRow } from '../row-reader.ts';
import { assertSameShape, readTable } from '../table.ts';
import type { CassandraTable, TableName } from '../table.ts';

export interface ReadBoth {
  readonly source: TableRow | undefined;
  readonly target: TableRow | undefined;
}

export class ComparedTable {
  readonly clusters: { readonly [side in Side]: Cluster };
  readonly source: CassandraTable;
  readonly target: CassandraTable;
  /** By part; both sides are asked for the columns of the source, in the same order. */
  readonly readers: readonly { readonly part: RowPart; readonly source: RowReader; readonly target: RowReader }[];
  readonly #runtime: Runtime;

  private constructor(runtime: Runtime, clusters: { readonly [side in Side]: Cluster }, source: CassandraTable, target: CassandraTable) {
    this.#runtime = runtime;
    this.clusters = clusters;
    this.source = source;
    this.target = target;
    const asked = { ...source, keyspace: target.keyspace, name: target.name };
    this.readers = readersOf(source, clusters.source.tellsElementTimes).map((reader) => ({ part: reader.part, source: reader, target: new RowReader(asked, reader.part, clusters.target.tellsElementTimes) }));
  }

  /** Throws MIG010 and MIG011. */
  static async open(runtime: Runtime, clusters: { readonly [side in Side]: Cluster }, sourceTable: TableName, targetTable: TableName): Promise<ComparedTable> {
    const [source, target] = await Promise.all([readTable(clusters.source, sourceTable), readTable(clusters.target, targetTable)]);
    assertSameShape(source, target);
    return new ComparedTable(runtime, clusters, source, target);
  }

  async readBoth(part: RowPart, key: Pick<TableRow, 'partitionKey' | 'clustering'>, quietly: Quietly = (read) => read()): Promise<ReadBoth> {
    const readers = this.readers.find((one) => one.part === part);
    if (readers === undefined) return { source: undefined, target: undefined };
    const readOne = async (cluster: Cluster, reader: RowReader): Promise<TableRow | undefined> => {
      const { rows: [answer] } = await cluster.read(reader.byKey(key.partitionKey, key.clustering));
      return answer === undefined ? undefined : reader.parse(answer, this.#runtime.clock.monotonicMs());
    };
    const [source, target] = await quietly(() => Promise.all([readOne(this.clusters.source, readers.source), readOne(this.clusters.target, readers.target)]));
    return { source, target };
  }
}
