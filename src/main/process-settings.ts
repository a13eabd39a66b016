/** What the supervisor hands to the control and the gateway workers: the settings, with embedded servers turned into addresses. */
import * as os from 'node:os';
import * as path from 'node:path';
import type { Settings } from '../../config/settings.ts';
import type { ServerAddress } from '../../cdc/postgres/server-address.ts';

/** Name of the server and of the migration source for the settings' `source`. */
export const homeServer = 'legacy';

/** Name of the server and of the migration source for the settings' `mysql.server`. */
export const mysqlServer = 'legacy_mysql';

/** Undefined where migrations have no login there. */
export function mysqlSource({ mysql }: Pick<Settings, 'mysql'>): ServerAddress | undefined {
  if (mysql?.server.user === undefined) return undefined;
  const { host, port, user, password, ssl } = mysql.server;
  // Every user may use it, whatever databases there are.
  return { host, port, database: 'information_schema', user, ...(password === undefined ? {} : { password }), ...(ssl === undefined ? {} : { ssl }) };
}

export interface ProcessSettings {
  readonly settings: Settings;
  readonly source: ServerAddress;
  readonly local: ServerAddress;
  readonly paths: StatePaths;
}

/** Gateway processes that there are to be. */
export function workerCount({ workers }: Pick<Settings, 'workers'>): number {
  return workers === 0 ? Math.max(1, os.availableParallelism()) : workers;
}

export interface StatePaths {
  readonly catalog: string;
  readonly credentialKey: string;
  readonly spool: string;
  /** Intent log, modes and repair list of the CQL proxy. */
  readonly cql: string;
  /** Of the link between control and workers. */
  readonly controlSocket: string;
  /** Of the link between control and CQL proxy. */
  readonly cqlSocket: string;
  readonly supervisorPid: string;
  readonly embedded: string;
}

/** A Unix socket's path is at most 107 bytes long: a deep state directory gets its socket elsewhere. */
const MAX_SOCKET_PATH = 100;

export function statePaths(stateDirectory: string, temporaryDirectory: string, processId: number): StatePaths {
  const at = (name: string): string => path.join(stateDirectory, name);
  const socket = (name: string): string => (Buffer.byteLength(at(name)) <= MAX_SOCKET_PATH ? at(name) : path.join(temporaryDirectory, `causeway-${processId}-${name}`));
  return {
    catalog: at('catalog.db'),
    credentialKey: at('credential.key'),
    spool: at('spool'),
    cql: at('cql'),
    controlSocket: socket('control.sock'),
    cqlSocket: socket('cql.sock'),
    supervisorPid: at('causeway.pid'),
    embedded: at('postgres'),
  };
}
