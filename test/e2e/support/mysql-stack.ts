/** The product with a MySQL server beside its PostgreSQL source: the settings that tests of migrations from MySQL share. */
import { freePort } from '../../support/postgres.ts';
import type { TestMysql } from '../../support/mysql-servers.ts';
import { Stack } from './stack.ts';
import type { StackOptions } from './stack.ts';

/** An application's user, who logs in at MySQL as the test's own user unless `hasMysql` is false. */
export interface MysqlStackUser {
  readonly name: string;
  /** At the gateway; without one the user is trusted from this machine. */
  readonly password?: string;
  readonly isTrusted?: boolean;
  /** Its role on both PostgreSQL servers; default: `app`. */
  readonly role?: string;
  readonly hasMysql?: boolean;
}

export interface MysqlStackOptions extends Partial<Omit<StackOptions, 'settings'>> {
  /** Of the MySQL front door; a free one where no client of it comes. */
  readonly port?: number;
  /** Besides the operator; default: `app` with the password `right`. */
  readonly users?: readonly MysqlStackUser[];
}

export async function startMysqlStack(server: TestMysql, { port, users = [{ name: 'app', password: 'right' }], ...options }: MysqlStackOptions = {}): Promise<Stack> {
  // Each its own: an object that stands in two places is written as an alias, which settings do not take.
  const login = (): object => ({ user: server.user, password: server.password });
  const trusted = (): object => ({ trust_from: ['127.0.0.1/32'] });
  return Stack.start({
    sourceSql: 'CREATE TABLE other (id int PRIMARY KEY)', workers: 2, ...options,
    settings: {
      mysql: { listen: { port: port ?? (await freePort()) }, server: { host: server.host, port: server.port, ...login() } },
      users: [
        { name: 'operator', operator: true, ...trusted(), source: { user: 'postgres' }, local: { user: 'postgres' }, mysql: login() },
        ...users.map(({ name, password, isTrusted = password === undefined, role = 'app', hasMysql = true }) => ({
          name, ...(password !== undefined && { password }), ...(isTrusted && trusted()), source: { user: role }, local: { user: role }, ...(hasMysql && { mysql: login() }),
        })),
      ],
    },
  });
}
