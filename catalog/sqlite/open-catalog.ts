/** The catalog in one SQLite file: the embedded default. */
import { randomUUID } from 'node:crypto';
import type { Clock } from '../../config/runtime.ts';
import type { AuditLevel } from '../audit.ts';
import type { Catalog, ChangeRecords, CutoverRecords, EventLog, LossRecords, ServerRecords, TableStates, ValidationRecords } from '../catalog.ts';
import type { CredentialKey } from '../credentials.ts';
import { ChangeStore } from './change-store.ts';
import { text } from './columns.ts';
import { CatalogConnection } from './connection.ts';
import { CutoverStore } from './cutover-store.ts';
import { EventStore } from './event-store.ts';
import type { Retention } from './event-store.ts';
import { LossStore } from './loss-store.ts';
import { MappingStore } from './mapping-store.ts';
import { SqliteOwnership } from './ownership.ts';
import { ServerStore } from './server-store.ts';
import { TableStore } from './table-store.ts';
import { ValidationStore } from './validation-store.ts';

export interface SqliteCatalogOptions {
  /** Made with its folder when missing; beside it lie `FILE-wal`, `FILE-shm` and `FILE.lock`. A local disk, not a network share. */
  readonly file: string;
  readonly key: CredentialKey;
  readonly clock: Clock;
  /** Ids of rows; a seed can drive it. */
  readonly newId?: () => string;
  readonly retention?: Partial<Retention>;
  /** Which events SYS$MIGRATION_AUDIT gets; default `full`. */
  readonly auditLevel?: AuditLevel;
}

type MappingMethods = 'createMapping' | 'alterMapping' | 'dropMapping' | 'mapping' | 'mappings' | 'credentials' | 'rotateKey';

const WEEK_MS = 7 * 24 * 3_600_000;
const defaultRetention: Retention = { errorsPerTable: 10_000, samplesMs: WEEK_MS };

/** Opens for reading; `acquire` is what makes it writable. */
export function openSqliteCatalog(options: SqliteCatalogOptions): Catalog {
  const connection = CatalogConnection.open(options.file, options.clock);
  connection.auditLevel = options.auditLevel ?? 'full';
  const newId = options.newId ?? randomUUID;
  const ownership = new SqliteOwnership(connection, options.file);
  const close = async (): Promise<void> => {
    connection.close();
    await ownership.release();
  };
  return {
    get token() {
      return ownership.token;
    },
    acquire: (owner, how) => ownership.acquire(owner, how),
    release: () => ownership.release(),
    owner: () => ownership.owner(),
    assertOwned: () => ownership.assertOwned(),
    ...bound<TableStates>(new TableStore(connection, newId)),
    ...bound<CutoverRecords>(new CutoverStore(connection, newId)),
    ...bound<ChangeRecords>(new ChangeStore(connection)),
    ...bound<EventLog>(new EventStore(connection, newId, { ...defaultRetention, ...options.retention })),
    ...bound<ValidationRecords>(new ValidationStore(connection)),
    ...bound<LossRecords>(new LossStore(connection)),
    ...bound<Omit<ServerRecords, MappingMethods>>(new ServerStore(connection)),
    ...bound<Pick<ServerRecords, MappingMethods>>(new MappingStore(connection, newId, options.key)),
    catalogId: readSetting(connection, 'catalog_id') ?? '',
    setting: async (name) => readSetting(connection, name),
    putSetting: async (name, value) => {
      connection.write(() => connection.run('INSERT OR REPLACE INTO setting (name, value) VALUES (?, ?)', name, value));
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

function readSetting(connection: CatalogConnection, name: string): string | undefined {
  const row = connection.get('SELECT value FROM setting WHERE name = ?', name);
  return row === undefined ? undefined : text(row, 'value');
}

/** The methods of one store as own properties, so that the stores together make one catalog. */
function bound<T extends object>(store: T): T {
  const names = Object.getOwnPropertyNames(Object.getPrototypeOf(store)).filter((name) => name !== 'constructor');
  const methods = names.map((name) => {
    const method: unknown = Reflect.get(store, name);
    if (typeof method !== 'function') throw new TypeError(`${name} of a store is not a method`);
    return [name, method.bind(store)] as const;
  });
  return Object.fromEntries(methods) as T;
}
