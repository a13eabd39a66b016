/** Every way the router says no: what is wrong, which tables are the cause, and what to do about it. */
import type { TableRoute } from '../../catalog/routing-snapshot.ts';
import { displayTableName } from '../../grammar/names.ts';
import type { Need } from './needs.ts';
import type { Route } from './route.ts';

type Refusal = Extract<Route, { type: 'refuse' }>;
type Side = 'source' | 'local' | 'mysql';

export const refusals = {
  /** `byTransaction`: only the transaction keeps the tables of the source there. */
  bothSides: (onlySource: readonly Need[], onlyLocal: readonly Need[], byTransaction: boolean): Refusal => ({
    type: 'refuse', code: 'MIG080', message: 'Statement needs tables of both sides',
    detail: `Only on the source: ${names(onlySource)}. Only on local: ${names(onlyLocal)}.${byTransaction ? ' This transaction reads from the source what local does not own alone.' : ''}`,
    hint: byTransaction
      ? `Run the statement in a READ COMMITTED transaction that has not written on the source, or ${cutOver(onlySource)}.`
      : `${capitalise(cutOver(onlySource))}, or split the statement in two.`,
  }),

  missingView: (views: readonly Need[], onlyLocal: readonly Need[]): Refusal => ({
    type: 'refuse', code: 'MIG080', message: `View ${names(views)} is not on local as it is on the source`,
    detail: `Its tables, or others of the statement, can only be answered there: ${names(onlyLocal)}.`,
    hint: 'Create it on local as it is on the source (SHOW MIGRATION ERRORS says why the migration could not); tables that it reads have to be migrated first.',
  }),

  writesOnBothSides: (needs: readonly Need[], side: Side, other: Side): Refusal => ({
    type: 'refuse', code: 'MIG081', message: 'Transaction would write on both sides',
    detail: `It has written on ${sideName(other)}; ${names(needs)} ${needs.length === 1 ? 'is' : 'are'} written on ${sideName(side)}.`,
    hint: `Write them in a transaction of their own, or cut the other tables over as well.${(side === 'mysql' && other === 'local') || (side === 'local' && other === 'mysql') ? ' docs/mysql.md says what the two servers need to commit such a transaction.' : ''}`,
  }),

  serializable: (needs: readonly Need[], side: Side, other: Side): Refusal => ({
    type: 'refuse', code: 'MIG080', message: 'SERIALIZABLE transaction would need a snapshot of both sides',
    detail: `It has used ${sideName(other)}; ${names(needs)} ${needs.length === 1 ? 'is' : 'are'} on ${sideName(side)}.`,
    hint: 'Use REPEATABLE READ, or read the tables of each side in a transaction of their own.',
  }),

  blocked: (name: string, table: TableRoute, what: string): Refusal => ({
    type: 'refuse', code: 'MIG082', message: `${what} of "${name}" are blocked in its present state`,
    detail: `Table ${name} is ${table.state}.`,
    hint: table.state === 'BULK_LOADING' ? 'Wait until it is SYNCHRONIZING (SHOW MIGRATION STATUS), or ABORT MIGRATION.' : 'Do it before the migration starts or after COMPLETE MIGRATION, or ABORT MIGRATION.',
  }),

  otherName: (need: Need): Refusal => ({
    type: 'refuse', code: 'MIG082', message: `Table "${need.name}" has another name where it is now`,
    detail: need.table === undefined ? '' : `It is ${displayTableName(need.table.source)} on the source and ${displayTableName(need.table.local)} on local; its writes go to ${sideName(need.table.writes)}.`,
    hint: need.table === undefined ? '' : `Name it ${displayTableName(need.table.writes === 'local' ? need.table.local : need.table.source)}.`,
  }),

  /** `hasLogin`: the client's user, at the MySQL server. */
  notReached: (name: string, table: TableRoute, hasLogin: boolean): Refusal => ({
    type: 'refuse', code: 'MIG082', message: `Table "${name}" is in a MySQL database, which ${hasLogin ? 'such a statement' : 'the user'} does not reach`,
    detail: `Table ${name} is ${table.state}: ${table.writes === 'source' && table.reads === 'local' ? 'local has a copy to be read, its writes go to the source' : 'its rows are on the source'}.${hasLogin ? '' : ' The user has no login there.'}`,
    hint: `${hasLogin ? '' : 'Give the user\'s entry in the settings a mysql: {user, password}, send '}${hasLogin ? 'Send it' : 'it'} by the MySQL protocol, or cut the table over (CUTOVER TABLE).`,
  }),

  /** A number drawn before the row is there. */
  numberedByServer: (name: string): Refusal => ({
    type: 'refuse', code: 'MIG082', message: `Numbers of "${name}" are given by the MySQL server, which has no sequence to draw from`,
    detail: 'It gives them to rows as they are inserted: a number that was drawn on local could be given to another row there.',
    hint: 'Leave the column out of the INSERT, and read its number by RETURNING, lastval() or currval() (Hibernate: GenerationType.IDENTITY in place of SEQUENCE), or cut the table over (CUTOVER TABLE).',
  }),

  /** It cannot be told who gave the session the last number, or the statement does not run where it is known. */
  lastvalElsewhere: (isUnclear: boolean): Refusal => ({
    type: 'refuse', code: 'MIG080', message: isUnclear ? 'lastval() may be a number of the MySQL server or of a sequence' : 'lastval() is a number that the MySQL server gave, and the statement does not run there',
    detail: isUnclear ? 'The session has inserted a row there, and has written elsewhere since.' : 'The session\'s last row was numbered there.',
    hint: isUnclear ? 'Use RETURNING, or currval() of the sequence that is meant.' : 'Read it by itself first (SELECT lastval()), and send the value.',
  }),

  withMysql: (beyond: readonly Need[], others: readonly Need[]): Refusal => ({
    type: 'refuse', code: 'MIG080', message: 'Statement needs tables of a MySQL database and of other sides',
    detail: `In the MySQL database: ${names(beyond)}. Elsewhere: ${names(others)}. Rows can be brought to where a statement runs, but not what it writes, locks or calls.`,
    hint: `${capitalise(cutOver(beyond))}, or split the statement in two.`,
  }),

  /** `construct`: as the translation names it; the statement changes rows there. */
  untranslated: (construct: string): Refusal => ({
    type: 'refuse', code: 'MIG080', message: `The statement cannot be translated for the MySQL server: ${construct}`,
    detail: 'Its tables are in a MySQL database. What reads them can be run elsewhere with their rows, what changes them cannot.',
    hint: 'Write it with other words (docs/mysql.md lists what is translated), send it by the MySQL protocol, or cut the tables over (CUTOVER TABLE).',
  }),

  noLease: (onlySource: readonly Need[]): Refusal => ({
    type: 'refuse', code: 'MIG084', message: 'The control process cannot be reached',
    detail: `Until it answers, ${names(onlySource)} can only be read from the source, where the other tables of the statement are not.`,
    hint: 'Try again in a moment; if it persists, look at the gateway\'s log.',
  }),

  controlAmongOthers: (): Refusal => ({
    type: 'refuse', code: 'MIG080', message: 'Migration tables cannot be read together with other statements',
    detail: 'The text has several statements, and one of them reads a SYS$MIGRATION table.', hint: 'Send each statement by itself.',
  }),
};

function names(needs: readonly Need[]): string {
  return [...new Set(needs.map((need) => need.name))].sort().join(', ');
}

function sideName(side: Side): string {
  return side === 'source' ? 'the source' : side === 'local' ? 'local' : 'the MySQL server';
}

function cutOver(needs: readonly Need[]): string {
  const tables = [...new Set(needs.flatMap((need) => (need.table === undefined ? [] : [need.name])))].sort();
  return tables.length === 0 ? 'migrate the tables that are only on the source' : `cut ${tables.join(', ')} over as well (CUTOVER TABLE ${tables[0] ?? ''})`;
}

function capitalise(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
