/**
 * After a reconnect the source sends again what shared tables have already, and what the logs of private tables may have lost with the
 * last connection. Until that has passed, no log is complete: a table that joined the shared ones then would lose it.
 */
import { expect, it } from 'vitest';
import { TransactionRouter } from '../../../cdc/stream/transaction-router.ts';
import type { RouterHooks } from '../../../cdc/stream/transaction-router.ts';

const router = (sharedFrom: bigint): TransactionRouter => new TransactionRouter({} as RouterHooks, sharedFrom);

it('is past its start only once the source has sent everything up to where shared tables are', () => {
  const given = router(100n);
  given.startsAt(50n);
  expect(given.isPastStart).toBe(false);
  given.advance(99n);
  expect(given.isPastStart).toBe(false);
  given.advance(100n);
  expect(given.isPastStart).toBe(true);
});

it('is past its start at once when nothing is sent again', () => {
  const given = router(100n);
  given.startsAt(100n);
  expect(given.isPastStart).toBe(true);
});
