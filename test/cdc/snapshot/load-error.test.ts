/** Each kind of failure comes out under the code that tells the operator, and the control, what to do. Faults that a test server does not give on demand. */
import { expect, it } from 'vitest';
import { ServerError } from '../../../cdc/postgres/copy-connection-frames.ts';
import { ConnectionLostError } from '../../../cdc/postgres/copy-connection.ts';
import { isRowError, isTransient, loadError } from '../../../cdc/snapshot/load-error.ts';

const said = (code: string, message = 'words of the server'): ServerError => new ServerError(new Map([['C', code], ['M', message], ['D', 'more words']]));

it.each([
  ['a lost connection', new ConnectionLostError('gone'), 'source', 'MIG002', true],
  ['a reset socket', Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' }), 'target', 'MIG002', true],
  ['a broken pipe', Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }), 'target', 'MIG002', true],
  ['a client that was ended', new Error('Connection terminated unexpectedly'), 'target', 'MIG002', true],
  ['a server that shuts down', said('57P01'), 'source', 'MIG002', true],
  ['a snapshot that is gone', said('22023', 'invalid snapshot identifier'), 'source', 'MIG002', true],
  ['a snapshot that is too old', said('72000'), 'source', 'MIG002', true],
  ['a deadlock that does not go away', said('40P01'), 'target', 'MIG002', true],
  ['a full disk', said('53100'), 'target', 'MIG086', true],
  ['no memory', said('53200'), 'target', 'MIG085', true],
  ['no connection left', said('53300'), 'source', 'MIG085', true],
  ['a missing right', said('42501'), 'source', 'MIG004', false],
  ['a missing source table', said('42P01'), 'source', 'MIG010', false],
  ['a missing target table', said('42P01'), 'target', 'MIG011', false],
  ['a missing column', said('42703'), 'target', 'MIG011', false],
  ['a type without input', said('42883'), 'target', 'MIG012', false],
  ['a value that does not fit', said('22003'), 'target', 'MIG011', false],
  ['a programmer\'s error', new TypeError('x is undefined'), 'target', 'MIG090', false],
] as const)('%s', (_, error, side, code, retryable) => {
  const mapped = loadError(side, 'orders', error);
  expect([mapped.code, mapped.retryable]).toEqual([code, retryable]);
  expect(mapped.cause).toBe(error);
  expect(mapped.detail).toContain(error.message);
});

it('passes its own errors through, and tells bad rows from bad luck', () => {
  const own = loadError('source', 'orders', said('53100'));
  expect(loadError('target', 'orders', own)).toBe(own);
  expect(['22P02', '23514', '23505', '53100', '40P01'].map((code) => [isRowError(said(code)), isTransient(said(code))])).toEqual([[true, false], [true, false], [true, false], [false, false], [false, true]]);
});
