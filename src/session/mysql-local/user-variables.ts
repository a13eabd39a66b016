/** Values of a session's own variables, which the MySQL server keeps: for statements on local that read them. */
import type { MysqlFacts } from '../../../grammar/dialect/postgres/mysql-translation.ts';
import { ColumnType } from '../../wire/mysql/column-definition.ts';
import type { LocalSession } from './local-session.ts';
import type { SessionFacts } from './session-facts.ts';

export type UserVariables = ReadonlyMap<string, NonNullable<ReturnType<NonNullable<MysqlFacts['userVariable']>>>>;

const UNSIGNED = 32;
const strings: ReadonlySet<number> = new Set([15, 249, 250, 251, 252, 253, 254]);
const integers: ReadonlySet<number> = new Set([1, 2, 3, 8, 9]);
export const noVariables: UserVariables = new Map();

/** Names in lower case. What cannot be said exactly is left out: the statement is refused then. */
export function askUserVariables(session: LocalSession, { resultCharset, collation }: SessionFacts, names: readonly string[], done: (variables: UserVariables) => void): void {
  if (names.length === 0) return done(noVariables);
  const asked = names.flatMap((name) => [`@${quoted(name)}`, `COLLATION(@${quoted(name)})`]);
  session.askServer(`SELECT ${asked.join(', ')}`, (rows, columns) => {
    const found: [string, { readonly kind: 'integer' | 'unsigned' | 'decimal' | 'double' | 'text' | 'bytes'; readonly value: string | null }][] = [];
    names.forEach((name, index) => {
      const [value = null, itsCollation = null] = rows?.[0]?.slice(2 * index, 2 * index + 2) ?? [];
      const column = columns?.[2 * index];
      if (!column || !rows?.[0]) return;
      if (value === null) found.push([name, { kind: 'text', value }]);
      else if (integers.has(column.type)) found.push([name, { kind: (column.flags & UNSIGNED) === 0 ? 'integer' : 'unsigned', value }]);
      else if (strings.has(column.type)) {
        // A string of another collation than the connection's compares otherwise.
        if (itsCollation === collation && resultCharset.startsWith('utf8')) found.push([name, { kind: 'text', value }]);
      } else found.push([name, { kind: column.type === ColumnType.double ? 'double' : 'decimal', value }]);
    });
    done(new Map(found));
  });
}

function quoted(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``;
}
