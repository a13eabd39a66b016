/** Property: an error is what the server says of it, or a lost connection; a socket's own error never counts as a change that cannot be applied. */
import { expect, it } from 'vitest';
import { remedyOf } from '../../../cdc/apply/apply-error.ts';
import { mysqlRemedyOf } from '../../../cdc/mysql/apply/apply-error.ts';

it('a broken connection is made again', async () => {
  // As Node.js makes it.
  const error = Object.assign(new Error('write EPIPE'), { code: 'EPIPE', errno: -32, syscall: 'write' });
  expect([remedyOf(error), mysqlRemedyOf(error)]).toEqual(['reconnect', 'reconnect']);
});

it('what the server says is kept apart', () => {
  const said = (code: string): string => remedyOf(Object.assign(new Error(code), { code }));
  expect(['40P01', '40001', '23505', '22003', '57P01', '08006', '53300'].map(said)).toEqual(['retry', 'retry', 'replay', 'replay', 'reconnect', 'reconnect', 'reconnect']);
  const saidByMysql = (errno: number): string => mysqlRemedyOf(Object.assign(new Error(String(errno)), { errno, sqlState: 'HY000' }));
  expect([1213, 1205, 1062, 1053, 1290].map(saidByMysql)).toEqual(['retry', 'retry', 'replay', 'reconnect', 'reconnect']);
});
