/** What is between one source and local, by the source's engine: all that differs from engine to engine is made here. */
import * as path from 'node:path';
import { createBookkeeping } from '../../cdc/mysql/binlog/bookkeeping.ts';
import { createMysqlStream } from '../../cdc/mysql/change-stream.ts';
import { connectMysql, endMysql, queryMysql } from '../../cdc/mysql/connect.ts';
import { readMysqlFences } from '../../cdc/mysql/fence.ts';
import { readServerPosition, streamPosition } from '../../cdc/mysql/read-position.ts';
import { createReverseMysqlStream } from '../../cdc/mysql/reverse-stream.ts';
import type { TypeRules } from '../../cdc/mysql/source-column.ts';
import { MysqlSourceSide } from '../../cdc/mysql/source-side.ts';
import { MysqlTableComparer } from '../../cdc/mysql/table-comparer.ts';
import { createMysqlLoader } from '../../cdc/mysql/table-loader.ts';
import { assertMysqlSaved } from '../../cdc/mysql/target-state.ts';
import type { TableLoader } from '../../cdc/ports.ts';
import { createChangeStream } from '../../cdc/postgres/change-stream.ts';
import type { ServerPlaces } from '../../cdc/mysql/server-places.ts';
import type { ServerAddress } from '../../cdc/postgres/server-address.ts';
import { connectServer } from '../../cdc/postgres/connect.ts';
import { readFences } from '../../cdc/postgres/fence.ts';
import { PostgresSourceSide } from '../../cdc/postgres/source-side.ts';
import { PostgresTableComparer } from '../../cdc/postgres/table-comparer.ts';
import { createPostgresLoader } from '../../cdc/postgres/table-loader.ts';
import type { SourceSide } from '../../cdc/source-side.ts';
import type { OpenedStream } from '../../cdc/stream/change-stream.ts';
import type { ChangeStreamOptions } from '../../cdc/stream/options.ts';
import type { TableComparer } from '../../cdc/validate/table-comparer.ts';
import type { NewTypeLoss } from '../../catalog/records.ts';
import type { Runtime } from '../../config/runtime.ts';
import { noLosses } from '../migrate/loss-book.ts';
import type { LossBook } from '../migrate/loss-book.ts';
import type { TypeOverride } from '../../grammar/migration/type-overrides.ts';
import type { FencedSource } from '../migrate/authority-check.ts';
import { LossSaver } from './loss-saver.ts';

export interface SourceEngine {
  readonly sourceSide: SourceSide;
  readonly forward: OpenedStream;
  readonly reverse: OpenedStream;
  readonly loader: TableLoader;
  readonly comparer: TableComparer;
  readonly losses: LossBook;
}

export interface EngineParts {
  readonly source: ServerAddress;
  readonly places?: ServerPlaces | undefined;
  readonly local: ServerAddress;
  readonly token: bigint;
  /** For the loads of all tables together. */
  readonly loadBytes: number;
  readonly forward: StreamParts;
  readonly reverse: StreamParts;
  /** Of OPTIONS (type_map …). */
  readonly overridesOf: (tableId: string) => readonly TypeOverride[];
  readonly recordLosses: (losses: readonly NewTypeLoss[]) => Promise<void>;
}

/** `name` is that of slot and publication too. */
export interface StreamParts extends Omit<ChangeStreamOptions, 'target'> {
  readonly slotName: string;
  readonly publicationName: string;
}

export function postgresEngine(runtime: Runtime, { source, local, token, loadBytes, ...parts }: EngineParts): SourceEngine {
  const forward = createChangeStream(runtime, { ...parts.forward, source, target: local });
  const onKeylessSnapshot = (tableId: string, snapshot: string): Promise<void> => forward.startFromSnapshot(tableId, snapshot);
  return {
    forward, reverse: createChangeStream(runtime, { ...parts.reverse, source: local, target: source }),
    sourceSide: new PostgresSourceSide(runtime, source), comparer: new PostgresTableComparer(source, local),
    loader: createPostgresLoader(runtime, { source, target: local, token, memoryBytes: loadBytes, onKeylessSnapshot }), losses: noLosses,
  };
}

export function mysqlEngine(runtime: Runtime, { source, places, local, token, loadBytes, overridesOf, recordLosses, ...parts }: EngineParts): SourceEngine {
  const losses = new LossSaver(recordLosses, (error) => runtime.log.error('losses of values could not be recorded yet', { error: String(error) }));
  const types: TypeRules = { overridesOf: (plan) => overridesOf(plan.tableId), onLoss: (plan, loss) => losses.ledger.tell(plan.tableId, loss) };
  return {
    forward: createMysqlStream(runtime, { ...parts.forward, source, target: local, types, recordFile: path.join(parts.forward.spoolDirectory, 'source.json'), ...(places ? { places } : {}) }),
    reverse: createReverseMysqlStream(runtime, { ...parts.reverse, source: local, target: source, types }),
    sourceSide: new MysqlSourceSide(runtime, { source, local, bookkeeping: createBookkeeping, readPosition: async (query) => streamPosition(await readServerPosition(query)), assertSaved: assertMysqlSaved }),
    comparer: new MysqlTableComparer(source, local, types),
    loader: createMysqlLoader(runtime, { source, target: local, token, memoryBytes: loadBytes, types }), losses,
  };
}

export function postgresFences(address: ServerAddress): FencedSource {
  const read: FencedSource['readFences'] = async (signal) => {
    const client = await connectServer(address, { applicationName: 'causeway control', signal });
    try {
      return (await readFences(client)).filter(({ kind }) => kind === 'fence').map(({ epoch, schema, name }) => ({ epoch: Number(epoch), table: `${schema}.${name}` }));
    } finally {
      await client.end();
    }
  };
  return { address, readFences: read };
}

export function mysqlFences(address: ServerAddress): FencedSource {
  const read: FencedSource['readFences'] = async (signal) => {
    const connection = await connectMysql(address, { signal });
    try {
      return (await readMysqlFences((sql) => queryMysql(connection, sql))).map(({ epoch, schema, name }) => ({ epoch, table: `${schema}.${name}` }));
    } finally {
      await endMysql(connection);
    }
  };
  return { address, readFences: read };
}
