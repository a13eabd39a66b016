/** Opens the MySQL front door of a gateway worker, where the settings have one. */
import type { Runtime } from '../../config/runtime.ts';
import type { Settings } from '../../config/settings.ts';
import type { Admission } from '../session/admission.ts';
import type { ControlPort } from '../session/control-port.ts';
import type { KillKind } from '../session/mysql/kill-on-server.ts';
import { openMysqlDoor } from '../session/mysql/mysql-door.ts';
import type { MysqlDoor } from '../session/mysql/mysql-door.ts';
import type { MysqlLocalOptions } from '../session/mysql-local/mysql-local.ts';
import type { GatewayLimits } from '../session/services.ts';
import type { UserEntry } from '../session/users.ts';
import type { MysqlLogins } from './mysql-logins.ts';

export interface FrontDoorParts {
  readonly settings: Settings;
  readonly logins: MysqlLogins | undefined;
  readonly users: readonly UserEntry[];
  readonly control: ControlPort & { forwardCancel(pid: number, key: string, done: () => void): void };
  readonly admission: Admission;
  readonly limits: Partial<GatewayLimits>;
  readonly name: string;
  readonly secret: Buffer;
  /** The way of its clients to tables on local. */
  readonly local: MysqlLocalOptions;
}

/** Undefined without a MySQL server in the settings. */
export async function openFrontDoor(runtime: Runtime, { settings, logins, users, control, limits, ...parts }: FrontDoorParts): Promise<MysqlDoor | undefined> {
  const { mysql, tls } = settings;
  if (!mysql || !logins) return undefined;
  const byName = new Map(settings.users.map((user) => [user.name, user]));
  return openMysqlDoor(runtime, {
    ...parts, control, get server() { return logins.server; }, limits: { ...limits, maxMessageBytes: settings.limits.statementBytes },
    users: users.map((user) => {
      const nativeHash = byName.get(user.name)?.mysqlNativeHash;
      return nativeHash === undefined ? user : { ...user, nativeHash };
    }),
    target: (user) => logins.target(user), isCurrent: (target) => logins.isCurrent(target),
    killElsewhere: (id, kind, user, done) => control.forwardCancel(id, writeKill(kind, user), done),
    ...(tls === undefined ? {} : { tls }),
  });
}

/** Another worker's client wants a session killed: it comes the way of a cancel request. True: it was no cancel request. */
export function killForwarded(door: MysqlDoor | undefined, id: number, key: string, done: () => void): boolean {
  // Longer than any key of a cancel request of ours.
  const kill = readKill(key);
  if (!kill) return false;
  door?.kill(id, kill.kind, kill.user, done);
  return true;
}

function writeKill(kind: KillKind, user: string): string {
  return Buffer.from(`${kind} ${user}`, 'utf8').toString('hex');
}

function readKill(key: string): { readonly kind: KillKind; readonly user: string } | undefined {
  const [, kind, user = ''] = /^(query|connection) ([\s\S]*)$/.exec(Buffer.from(key, 'hex').toString('utf8')) ?? [];
  return kind === 'query' || kind === 'connection' ? { kind, user } : undefined;
}
