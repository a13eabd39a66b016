/** Questions of a gateway worker about the types and tables of either side, over one connection to each. */
import type pg from 'pg';
import type { Side } from '../../catalog/routing-snapshot.ts';
import { connectServer } from '../../cdc/postgres/connect.ts';
import type { ServerAddress } from '../../cdc/postgres/server-address.ts';
import type { AskSide } from '../session/object-numbers.ts';

const ANSWER_WITHIN_MS = 2_000;

export function createAskSide(addresses: Readonly<Record<Side, ServerAddress>>): { readonly ask: AskSide } & AsyncDisposable {
  const clients = new Map<Side, Promise<pg.Client>>();
  return {
    ask: async (side, sql) => {
      const client = clients.get(side) ?? connectServer(addresses[side], { applicationName: 'causeway gateway' });
      clients.set(side, client);
      let timer: NodeJS.Timeout | undefined;
      try {
        const late = new Promise<never>((_, reject) => {
          timer = setTimeout(() => reject(new Error(`${side} did not answer in ${ANSWER_WITHIN_MS} ms`)), ANSWER_WITHIN_MS);
        });
        const { rows } = await Promise.race([client.then((open) => open.query<(string | null)[]>({ text: sql, rowMode: 'array' })), late]);
        return rows;
      } catch (error) {
        clients.delete(side);
        client.then((lost) => lost.end(), () => undefined).catch(() => undefined);
        throw error;
      } finally {
        clearTimeout(timer);
      }
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.all([...clients.values()].map((client) => client.then((open) => open.end(), () => undefined)));
    },
  };
}
