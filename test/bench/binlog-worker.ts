/** Reads a binlog from one position to another, as `test/bench/binlog.ts` says, and prints what it cost. */
import { BinlogReader } from '../../cdc/mysql/binlog/binlog-reader.ts';
import { compareBinlogPlaces } from '../../cdc/mysql/position.ts';
import type { MysqlPosition } from '../../cdc/mysql/position.ts';
import { parseColumnType } from '../../cdc/mysql/column-type.ts';
import type { ReplicationAddress } from '../../cdc/mysql/replication-address.ts';

export interface ReadJob {
  readonly address: ReplicationAddress;
  readonly start: MysqlPosition;
  readonly end: MysqlPosition;
  readonly database: string;
}

export interface ReadFigure {
  readonly changes: number;
  readonly seconds: number;
  readonly processorSeconds: number;
  readonly maxRssMb: number;
}

const column = (name: string, type: string, charset?: string) => ({ name, type: parseColumnType(type), charset, definition: type });
/** Servers that do not log what columns are called: as `test/bench/binlog.ts` makes the table. */
const facts = [
  column('id', 'int'), column('quantity', 'int'), column('name', 'varchar(100)', 'utf8mb4'), column('price', 'decimal(12,2)'), column('changed_at', 'datetime(6)'), column('code', 'binary(16)'), column('note', 'text', 'utf8mb4'),
];

async function read({ address, start, end, database }: ReadJob): Promise<ReadFigure> {
  const started = performance.now();
  const before = process.cpuUsage();
  const reader = await BinlogReader.open({ address, start, replicaId: 4711, captures: (schema) => schema === database, facts: () => Promise.resolve(facts) });
  let changes = 0;
  for await (const { items, position } of reader.batches()) {
    for (const item of items) if (item.kind === 'transaction') for (const change of item.changes) changes += change.op === 'delete' ? change.old.length : change.new.length;
    if (compareBinlogPlaces(position, end) !== -1) break;
  }
  reader.close();
  const { user, system } = process.cpuUsage(before);
  return { changes, seconds: (performance.now() - started) / 1000, processorSeconds: (user + system) / 1e6, maxRssMb: process.resourceUsage().maxRSS / 1024 };
}

process.stdout.write(JSON.stringify(await read(JSON.parse(process.argv[2] ?? '{}') as ReadJob)));
