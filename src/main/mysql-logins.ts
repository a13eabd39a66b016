/** Who logs in at the MySQL server as whom: for clients of either door. */
import { MigrationError } from '../../config/migration-error.ts';
import type { Settings } from '../../config/settings.ts';
import type { MysqlServer } from '../session/mysql-tables/mysql-reach.ts';
import type { MysqlTarget } from '../wire/mysql/connect-mysql.ts';

/** Undefined without a MySQL server in the settings. */
export function mysqlLogins({ mysql, users }: Pick<Settings, 'mysql' | 'users'>): MysqlServer | undefined {
  if (!mysql) return undefined;
  const { host, port, ssl } = mysql.server;
  const server = { host, port, ...(ssl === undefined ? {} : { ssl }) };
  const byName = new Map(users.map((user) => [user.name, user.mysql]));
  return {
    hasLogin: (user) => byName.get(user) !== undefined,
    target: (user): MysqlTarget => {
      const login = byName.get(user);
      if (!login) throw new MigrationError('MIG003', `user "${user}" has no login at the MySQL server`, { hint: 'Give the user\'s entry in the settings a mysql: {user, password}.' });
      return { ...server, user: login.user, ...(login.password === undefined ? {} : { password: login.password }) };
    },
  };
}
