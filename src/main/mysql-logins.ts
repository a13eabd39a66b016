/** Who logs in at the MySQL server as whom, and which server that is now: for clients of either door. */
import { MigrationError } from '../../config/migration-error.ts';
import type { Settings } from '../../config/settings.ts';
import type { MysqlServer } from '../session/mysql-tables/mysql-reach.ts';
import type { MysqlTarget } from '../wire/mysql/connect-mysql.ts';

export interface MysqlLogins extends MysqlServer {
  /** Without anybody's login. */
  readonly server: Pick<MysqlTarget, 'host' | 'port' | 'ssl'>;
  isCurrent(target: MysqlTarget): boolean;
  /** The control has found that another of the settings' servers goes on. */
  moveTo(place: { readonly host: string; readonly port: number }): void;
}

/** Undefined without a MySQL server in the settings. */
export function mysqlLogins({ mysql, users }: Pick<Settings, 'mysql' | 'users'>): MysqlLogins | undefined {
  if (!mysql) return undefined;
  const { host, port, ssl } = mysql.server;
  let server = { host, port, ...(ssl === undefined ? {} : { ssl }) };
  const byName = new Map(users.map((user) => [user.name, user.mysql]));
  return {
    get server() {
      return server;
    },
    moveTo: (place) => {
      server = { ...server, host: place.host, port: place.port };
    },
    isCurrent: (target) => target.host === server.host && target.port === server.port,
    hasLogin: (user) => byName.get(user) !== undefined,
    target: (user): MysqlTarget => {
      const login = byName.get(user);
      if (!login) throw new MigrationError('MIG003', `user "${user}" has no login at the MySQL server`, { hint: 'Give the user\'s entry in the settings a mysql: {user, password}.' });
      return { ...server, user: login.user, ...(login.password === undefined ? {} : { password: login.password }) };
    },
  };
}
