/** Functions whose values are the session's. https://dev.mysql.com/doc/refman/8.4/en/information-functions.html */
import { exactly } from './call-context.ts';
import type { CallEmitter } from './call-context.ts';
import type { MysqlSessionValue } from './mysql-translation.ts';
import { intType, maxUnsigned } from './mysql-type.ts';
import { checkedUnsigned } from './calculate.ts';

const number = (value: MysqlSessionValue): CallEmitter => (call) => {
  exactly(call, 0);
  return { sql: checkedUnsigned(`${call.emission.slot({ kind: 'session', value })}::numeric`), type: intType(0n, maxUnsigned, true), nullable: false };
};

const signed = (value: MysqlSessionValue): CallEmitter => (call) => {
  exactly(call, 0);
  return { sql: `${call.emission.slot({ kind: 'session', value })}::bigint`, type: intType(-1n, (1n << 63n) - 1n), nullable: false };
};

const string = (value: MysqlSessionValue): CallEmitter => (call) => {
  exactly(call, 0);
  return { sql: `${call.emission.slot({ kind: 'session', value })}::text`, type: { kind: 'text', collation: undefined, isTrimmed: false, isOwn: false }, nullable: value === 'database' };
};

export const sessionCalls: Readonly<Record<string, CallEmitter>> = {
  LAST_INSERT_ID: number('last_insert_id'), ROW_COUNT: signed('row_count'), FOUND_ROWS: signed('found_rows'), CONNECTION_ID: signed('connection_id'), USER: string('user'), SESSION_USER: string('user'), SYSTEM_USER: string('user'),
  CURRENT_USER: string('current_user'), VERSION: string('version'), DATABASE: string('database'), SCHEMA: string('database'), UUID: string('uuid'),
};
