/** Functions are followed through the functions that they call; one that cannot be read makes its callers unreadable. */
import { expect, it } from 'vitest';
import { closeTouches } from '../../../cdc/postgres/function-touches.ts';
import type { FunctionBody } from '../../../cdc/postgres/function-touches.ts';

const fn = (name: string, body: string, tables: readonly string[] = [], isOpaque = false): FunctionBody =>
  ({ schema: 'public', name, body, isOpaque, tables: tables.map((table) => ({ schema: 'public', name: table })) });

it('follows calls, also in circles, and leaves out what reaches an opaque function', () => {
  const touches = closeTouches([
    fn('a', 'begin perform b(1); end'), fn('b', 'select * from orders where c()', ['orders']), fn('c', 'begin perform a(); insert into log values (1); end', ['log']),
    fn('pure', 'select 1'), fn('dark', 'execute q', [], true), fn('shade', 'select dark()'),
  ]);
  const both = { reads: ['public.log', 'public.orders'], writes: ['public.log', 'public.orders'] };
  expect(touches).toEqual({ 'public.a': both, 'public.b': both, 'public.c': both, 'public.pure': { reads: [], writes: [] } });
});
