/** A worker process of `bench proxy`: the gateway, or a bare byte pipe. */
import * as net from 'node:net';
import { FactsCache } from '../../grammar/sql/facts-cache.ts';
import { loadSqlParser } from '../../grammar/sql/parser.ts';
import { RouteCache } from '../../src/route/route-cache.ts';
import { createGateway } from '../../src/session/gateway.ts';
import { FakeControl, testRuntime } from '../session/gateway-fixture.ts';

const kind = process.argv[2];
const port = Number(process.argv[3]);
const serverPort = Number(process.argv[4]);

if (kind === 'pipe') {
  const server = net.createServer({ noDelay: true }, (client) => {
    const leg = net.connect({ host: '127.0.0.1', port: serverPort, noDelay: true });
    client.pipe(leg);
    leg.pipe(client);
    client.on('error', () => leg.destroy());
    leg.on('error', () => client.destroy());
  });
  server.listen({ host: '127.0.0.1', port }, () => process.send?.('ready'));
} else {
  const control = new FakeControl();
  if (process.argv[5] === 'tables') control.publish({ elsewhere: {} });
  await createGateway(testRuntime(), {
    listen: { host: '127.0.0.1', port },
    users: [{ name: '*', trustFrom: ['127.0.0.1'] }],
    legs: { target: (_side, login) => ({ host: '127.0.0.1', port: serverPort, user: login.user, database: login.database }) },
    control, facts: new FactsCache(await loadSqlParser()), routes: new RouteCache(control.snapshot),
    sourcePosition: { fetch: (callback) => setImmediate(() => callback(undefined)) },
  });
  process.send?.('ready');
}

// A profile is written at an orderly exit only.
process.on('SIGTERM', () => process.exit(0));
