/** The names of servers are found wherever PostgreSQL's grammar has them, in every spelling, and nowhere else. */
import { expect, test } from 'vitest';
import { serversNamed } from '../../../grammar/migration/server-names.ts';

test.each<[string, readonly string[]]>([
  ['ALTER SERVER s OPTIONS (SET host \'x\')', ['s']],
  [';; alter/* x */server "S" OWNER TO a', ['S']],
  ['ALTER SERVER Legacy RENAME TO b', ['legacy']],
  ['DROP SERVER IF EXISTS a, b ,"c d" CASCADE; SELECT 1', ['a', 'b', 'c d']],
  ['DROP SERVER', []],
  ['DROP SERVER ;', []],
  ['CREATE USER MAPPING FOR app SERVER s OPTIONS (user \'x\')', ['s']],
  ['create user mapping if not exists for "server" server s', ['s']],
  ['ALTER USER MAPPING FOR current_user SERVER "server" OPTIONS (DROP user)', ['server']],
  ['DROP USER MAPPING IF EXISTS FOR PUBLIC SERVER s, t', ['s']],
  ['DROP USER MAPPING FOR', []],
  ['CREATE USER MAPPING FOR app', []],
])('%s', (sql, names) => {
  expect(serversNamed(sql)).toEqual(names);
});

test.each(['CREATE SERVER s', 'CREATE SERVER s FOREIGN DATA WRAPPER postgres', 'CREATE MIGRATION SOURCE a FROM SERVER s', 'SHOW SERVERS', 'DROP USER bob', 'START MIGRATION FOR TABLE t FROM s', ''])('no server, or not by its name: %s', (sql) => {
  expect(serversNamed(sql)).toBeUndefined();
});
