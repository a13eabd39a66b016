/** The number of an error as a MySQL client sees it: the server's own, or what the gateway makes of local's. */
import type { MysqlServer } from '../../../grammar/dialect/postgres/mysql-translation.ts';
import { localError } from '../../../src/session/mysql-local/local-error.ts';
import { UnboundParameter } from './mysql-corpus.ts';

const fields: Readonly<Record<string, string>> = { code: 'C', message: 'M', detail: 'D', hint: 'H', schema: 's', table: 't', column: 'c', constraint: 'n' };

export function errorNumber(error: Error, server: MysqlServer): number | undefined {
  if (error instanceof UnboundParameter) return error.number;
  const said = new Map(Object.entries(error));
  const own: unknown = said.get('errno');
  if (typeof own === 'number') return own;
  const local = new Map(Object.entries(fields).flatMap(([name, letter]) => (typeof said.get(name) === 'string' ? [[letter, String(said.get(name))] as const] : [])));
  local.set('M', error.message);
  // The checks that keep a type's range are known by the facts of the table, which the corpus has in another form.
  if (local.get('C') === '23514' && /_range$/.test(local.get('n') ?? '')) return (local.get('n') ?? '').match(/_[bv]n_range$/) ? 1406 : 1264;
  return localError(local, [], server).code;
}
