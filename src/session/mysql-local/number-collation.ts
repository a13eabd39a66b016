/** The number of a collation at the MySQL server, by which columns of text are told to clients; asked once for each name. */
import type { LocalSession } from './local-session.ts';
import type { MysqlLocal } from './mysql-local.ts';

/** `done`: false when there is no answer. */
export function numberCollation({ collations }: Pick<MysqlLocal, 'collations'>, session: Pick<LocalSession, 'askServer'>, collation: string, done: (isAnswered: boolean) => void): void {
  if (collations.has(collation) || !/^\w+$/.test(collation)) return done(true);
  session.askServer(`SELECT ID FROM information_schema.COLLATIONS WHERE COLLATION_NAME = '${collation}'`, (rows) => {
    if (rows) collations.set(collation, Number(rows[0]?.[0] ?? 0));
    done(rows !== undefined);
  });
}
