/** What a MySQL server's errors are to a PostgreSQL client. The server's own words stand in DETAIL. */
import type { ErrorFields } from '../../wire/error-fields.ts';
import type { MysqlError } from '../../wire/mysql/error-packet.ts';

interface Meaning {
  readonly sqlstate: string;
  readonly message: string | ((text: string) => string);
}

const named = (before: string, pattern: RegExp, after = ''): ((text: string) => string) => (text) => `${before} "${pattern.exec(text)?.[1] ?? ''}"${after}`;
const columnOf = /column '([^']*)'/i;

/** By number. https://dev.mysql.com/doc/mysql-errors/en/server-error-reference.html */
const meanings: Readonly<Record<number, Meaning>> = {
  1022: { sqlstate: '23505', message: 'duplicate key value violates unique constraint' },
  1048: { sqlstate: '23502', message: named('null value in column', /Column '([^']*)'/i, ' violates not-null constraint') },
  1062: { sqlstate: '23505', message: (text) => `duplicate key value violates unique constraint "${keyName(text) ?? ''}"` },
  1142: { sqlstate: '42501', message: 'permission denied for table' },
  1143: { sqlstate: '42501', message: 'permission denied for column' },
  1044: { sqlstate: '42501', message: 'permission denied for database' },
  1146: { sqlstate: '42P01', message: 'the table is not there on the MySQL server' },
  1054: { sqlstate: '42703', message: 'the column is not there on the MySQL server' },
  1153: { sqlstate: '54000', message: 'the statement is larger than the MySQL server takes (max_allowed_packet)' },
  1260: { sqlstate: '54000', message: 'a text is larger than the MySQL server makes one (group_concat_max_len, max_allowed_packet)' },
  1301: { sqlstate: '54000', message: 'a text is larger than the MySQL server makes one (max_allowed_packet)' },
  1931: { sqlstate: '54000', message: 'a recursion is longer than the MySQL server goes on' },
  1205: { sqlstate: '55P03', message: 'canceling statement due to lock timeout' },
  1207: { sqlstate: '25006', message: 'cannot change rows in a read-only transaction' },
  1792: { sqlstate: '25006', message: 'cannot change rows in a read-only transaction' },
  1213: { sqlstate: '40P01', message: 'deadlock detected' },
  1020: { sqlstate: '40001', message: 'could not serialize access due to concurrent update' },
  1216: { sqlstate: '23503', message: foreignKeyMessage }, 1452: { sqlstate: '23503', message: foreignKeyMessage },
  1217: { sqlstate: '23503', message: foreignKeyMessage }, 1451: { sqlstate: '23503', message: foreignKeyMessage },
  1264: { sqlstate: '22003', message: named('value out of range for column', columnOf) },
  1701: { sqlstate: '0A000', message: 'cannot truncate a table referenced in a foreign key constraint' },
  1690: { sqlstate: '22003', message: 'value out of range' },
  1365: { sqlstate: '22012', message: 'division by zero' },
  1406: { sqlstate: '22001', message: named('value too long for column', columnOf) },
  1265: { sqlstate: '22P02', message: named('invalid value for column', columnOf) },
  1366: { sqlstate: '22P02', message: named('invalid value for column', columnOf) },
  1292: { sqlstate: '22007', message: 'invalid value' },
  1364: { sqlstate: '23502', message: named('null value in column', /Field '([^']*)'/i, ' violates not-null constraint') },
  1305: { sqlstate: '3B001', message: 'savepoint does not exist' },
  1317: { sqlstate: '57014', message: 'canceling statement due to user request' },
  1969: { sqlstate: '57014', message: 'canceling statement due to statement timeout' }, 3024: { sqlstate: '57014', message: 'canceling statement due to statement timeout' },
  3572: { sqlstate: '55P03', message: 'could not obtain lock on row' },
  3819: { sqlstate: '23514', message: named('new row violates check constraint', /constraint '([^']*)'/i) }, 4025: { sqlstate: '23514', message: named('new row violates check constraint', /CONSTRAINT `([^`]*)`/i) },
  1242: { sqlstate: '21000', message: 'more than one row returned by a subquery used as an expression' },
  1040: { sqlstate: '53300', message: 'the MySQL server has too many connections' },
};

/** By class, where the number says nothing. */
const classes: Readonly<Record<string, string>> = { '22': '22000', '23': '23000', '40': '40001', '42': '42601', '08': '08006', '28': '28000' };

function keyName(text: string): string | undefined {
  return /for key '(?:[^'.]*\.)?([^']*)'/i.exec(text)?.[1];
}

function constraintName(text: string): string | undefined {
  return /CONSTRAINT `([^`]*)`/.exec(text)?.[1];
}

function foreignKeyMessage(text: string): string {
  return `the change violates foreign key constraint "${constraintName(text) ?? ''}"`;
}

/** `localName`: of a unique key or foreign key on local, by its name on the server. */
export function errorOfMysql(error: MysqlError, localName: (name: string) => string | undefined): ErrorFields {
  const { code, sqlstate, message } = error;
  // A fence says itself what is the matter.
  if (/^MIG\d{3}: /.test(message)) return { severity: 'ERROR', sqlstate: '55006', message };
  const known = meanings[code];
  const detail = `MySQL ${code} (${sqlstate}): ${message}`;
  if (!known) return { severity: 'ERROR', sqlstate: classes[sqlstate.slice(0, 2)] ?? (sqlstate === 'HY000' || sqlstate === '45000' ? 'P0001' : 'XX000'), message, detail };
  const mysqlName = known.sqlstate === '23505' ? keyName(message) : known.sqlstate === '23503' ? constraintName(message) : undefined;
  const constraint = mysqlName === undefined ? undefined : localName(mysqlName) ?? mysqlName;
  const text = typeof known.message === 'string' ? known.message : known.message(message);
  return { severity: 'ERROR', sqlstate: known.sqlstate, message: mysqlName === undefined || constraint === undefined ? text : text.replace(`"${mysqlName}"`, `"${constraint}"`), detail, constraint };
}
