/** Several processes of the CQL proxy as one group, in this process, between the two mock clusters of `process-fixture.ts`; and what their control asks them by. */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { noFaults } from '../../../config/faults.ts';
import { processClock } from '../../../config/process-runtime.ts';
import type { FaultPoints } from '../../../config/faults.ts';
import type { CqlProcess } from '../../../src/main/cql-process.ts';
import { memberLink, modesOfMember } from '../../../src/main/cql-link.ts';
import { connectToMember, groupKey } from '../../../src/main/group-socket.ts';
import { ProxyGroup } from '../../../src/migrate/clusters/proxy-group.ts';
import type { ProxyMember } from '../../../src/migrate/clusters/proxy-port.ts';
import type { Log } from '../../../config/runtime.ts';
import { freePort } from '../../support/postgres.ts';
import { setup } from './process-fixture.ts';
import type { Setup } from './process-fixture.ts';

export const secret = 'a secret of the tests, long enough';
const signal = new AbortController().signal;
const log: Log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined, child: () => log };

export interface Group extends AsyncDisposable {
  readonly fixture: Setup;
  readonly ports: readonly number[];
  readonly members: readonly ProxyMember[];
  start(index: number): Promise<CqlProcess>;
  startAll(): Promise<CqlProcess[]>;
  directoryOf(index: number): string;
  modesAt(index: number, withSecret?: string): ReturnType<typeof modesOfMember>;
  /** `lateMs`: how much later the last proxy hears of a switch than the others. */
  control(options?: { readonly holdMs?: number; readonly faults?: FaultPoints; readonly lateMs?: number }): ProxyGroup;
}

export async function groupOf(size: number, settings: object = {}): Promise<Group> {
  const fixture = await setup();
  const ports = await Promise.all(Array.from({ length: size }, () => freePort()));
  const connectTo = (index: number, withSecret = secret) => () => connectToMember({ host: '127.0.0.1', port: ports[index] ?? 0 }, groupKey(withSecret));
  const members = ports.map((_, index) => memberLink({ clock: processClock, signal }, connectTo(index), `proxy ${index}`, 300));
  const start = (index: number): Promise<CqlProcess> => fixture.start({ ...settings, topology: { index }, group: { members: ports.map((port) => `127.0.0.1:${port}`), secret } }, `${index}`);
  return {
    fixture, ports, members, start,
    // New ones wait for each other.
    startAll: () => Promise.all(ports.map((_, index) => start(index))),
    directoryOf: (index) => {
      const directory = path.join(fixture.directory, `${index}`);
      fs.mkdirSync(directory, { recursive: true });
      return directory;
    },
    modesAt: (index, withSecret) => modesOfMember({ clock: processClock, signal }, connectTo(index, withSecret), `proxy ${index}`),
    control: ({ holdMs, faults = noFaults, lateMs = 0 } = {}) => new ProxyGroup({ clock: processClock, faults, log, signal }, members.map((member, index) => (lateMs > 0 && index === size - 1 ? late(member, lateMs) : member)), holdMs),
    [Symbol.asyncDispose]: () => fixture[Symbol.asyncDispose](),
  };
}

function late(member: ProxyMember, ms: number): ProxyMember {
  return {
    ...member,
    switchTable: async (request) => {
      await processClock.sleep(ms);
      await member.switchTable(request);
    },
    commit: async (table, move) => {
      await processClock.sleep(ms);
      await member.commit(table, move);
    },
  };
}
