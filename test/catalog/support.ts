/** A catalog in a folder of its own, with a clock that the test moves. */
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { AuditLevel } from '../../catalog/audit.ts';
import type { Catalog, NewTable } from '../../catalog/catalog.ts';
import { newKey } from '../../catalog/credentials.ts';
import type { CredentialKey } from '../../catalog/credentials.ts';
import { openSqliteCatalog } from '../../catalog/sqlite/open-catalog.ts';
import type { Retention } from '../../catalog/sqlite/event-store.ts';
import type { Clock } from '../../config/runtime.ts';

export interface TestClock extends Clock {
  ms: number;
}

export function testClock(start = Date.parse('2026-03-01T10:00:00.000Z')): TestClock {
  return {
    ms: start,
    now() {
      return this.ms;
    },
    monotonicMs() {
      return this.ms;
    },
    sleep: (ms, signal) => delay(ms, undefined, { ref: false, ...(signal === undefined ? {} : { signal }) }),
  };
}

export interface TestCatalog extends AsyncDisposable {
  readonly directory: string;
  readonly file: string;
  readonly clock: TestClock;
  readonly key: CredentialKey;
  /** Opened and acquired; replaced by `crash`. */
  readonly catalog: Catalog;
  /** Opens the file once more, without acquiring it. */
  open(): Catalog;
  /** Goes on from a copy of the files taken while the catalog was open: what a killed process leaves behind. */
  crash(): Promise<void>;
}

export async function testCatalog(options: { readonly retention?: Partial<Retention>; readonly clock?: TestClock; readonly auditLevel?: AuditLevel } = {}): Promise<TestCatalog> {
  const root = fs.mkdtempSync(path.join(os.tmpdir(), 'causeway-catalog-'));
  const clock = options.clock ?? testClock();
  const key = newKey();
  let generation = 0;
  const directory = (): string => path.join(root, String(generation));
  const open = (): Catalog => openSqliteCatalog({ file: path.join(directory(), 'catalog.db'), key, clock, ...(options.retention === undefined ? {} : { retention: options.retention }), ...(options.auditLevel === undefined ? {} : { auditLevel: options.auditLevel }) });
  let catalog = open();
  await catalog.acquire({ pid: process.pid, host: 'test' });
  return {
    get directory() {
      return directory();
    },
    get file() {
      return path.join(directory(), 'catalog.db');
    },
    clock,
    key,
    get catalog() {
      return catalog;
    },
    open,
    crash: async () => {
      const before = directory();
      generation += 1;
      // The shared-memory file is not copied: after a crash it is rebuilt from the log.
      fs.mkdirSync(directory());
      for (const name of ['catalog.db', 'catalog.db-wal']) {
        if (fs.existsSync(path.join(before, name))) fs.copyFileSync(path.join(before, name), path.join(directory(), name));
      }
      await catalog.close();
      catalog = open();
      await catalog.acquire({ pid: process.pid, host: 'test' });
    },
    [Symbol.asyncDispose]: async () => {
      await catalog.close();
      fs.rmSync(root, { recursive: true, force: true });
    },
  };
}

export function newTable(name: string, extra: Partial<NewTable> = {}): NewTable {
  return {
    sourceServer: 'legacy_pg',
    sourceName: 'legacy',
    source: { schema: 'public', name },
    target: { schema: 'public', name },
    options: { batch_size: 10_000 },
    ...extra,
  };
}
