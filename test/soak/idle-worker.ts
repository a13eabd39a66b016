/**
 * A process of `soak idle`: `idle-worker.ts KIND REAL_PORT FAKE_PORT`. KIND is `gateway`, with a table on local; `pipe`, which hands bytes on and knows nothing; or `backend`, which
 * does for a server as far as clients that do next to nothing can tell. Answers every message of its parent with its memory.
 */
import * as net from 'node:net';
import { FactsCache } from '../../grammar/sql/facts-cache.ts';
import { loadSqlParser } from '../../grammar/sql/parser.ts';
import { RouteCache } from '../../src/route/route-cache.ts';
import { createGateway } from '../../src/session/gateway.ts';
import { commandComplete, parseComplete, bindComplete, noParameters, readyForQuery, rowDescription } from '../../src/wire/backend-messages.ts';
import { CUT, FrameScanner } from '../../src/wire/framing.ts';
import { cstring, int16, int32, message } from '../../src/wire/message.ts';
import { FakeControl, onLocal, testRuntime } from '../session/gateway-fixture.ts';
import { collect } from './torture-gateway.ts';

const [kind, realPort, fakePort] = process.argv.slice(2);
let port = 0;

if (kind === 'gateway') {
  const control = new FakeControl();
  control.publish({ moved: onLocal });
  const gateway = await createGateway(testRuntime(), {
    listen: { host: '127.0.0.1', port: 0 },
    users: [{ name: '*', trustFrom: ['127.0.0.1'] }],
    legs: { target: (_side, { user, database }) => ({ host: '127.0.0.1', port: Number(database === 'idle' ? fakePort : realPort), user, database }) },
    control, facts: new FactsCache(await loadSqlParser()), routes: new RouteCache(control.snapshot),
    sourcePosition: { fetch: (callback) => setImmediate(() => callback(undefined)) },
  });
  port = gateway.port;
} else {
  const server = net.createServer({ noDelay: true }, kind === 'pipe' ? pipe : serve);
  await new Promise<void>((resolve) => server.listen({ host: '127.0.0.1', port: 0, backlog: 1024 }, resolve));
  port = (server.address() as net.AddressInfo).port;
}

process.on('message', () => {
  void collect().then(() => process.send?.(process.memoryUsage()));
});
process.on('disconnect', () => process.exit(0));
process.send?.(port);

function pipe(client: net.Socket): void {
  const leg = net.connect({ host: '127.0.0.1', port: Number(fakePort), noDelay: true });
  client.pipe(leg);
  leg.pipe(client);
  client.on('error', () => leg.destroy());
  leg.on('error', () => client.destroy());
}

function row(...values: readonly string[]): Buffer {
  return message('D', int16(values.length), ...values.flatMap((value) => [int32(Buffer.byteLength(value)), Buffer.from(value)]));
}

/** A login as a server's; the gateway's own questions about a session get the answers of a fresh one; every other statement one row. */
function serve(client: net.Socket): void {
  const parameters: Readonly<Record<string, string>> = {
    application_name: '', client_encoding: 'UTF8', DateStyle: 'ISO, MDY', default_transaction_read_only: 'off', in_hot_standby: 'off', integer_datetimes: 'on', IntervalStyle: 'postgres', is_superuser: 'on',
    scram_iterations: '4096', search_path: '"$user", public', server_encoding: 'UTF8', server_version: '18.0', session_authorization: 'idle', standard_conforming_strings: 'on', TimeZone: 'Etc/UTC',
  };
  const columns = rowDescription([{ name: 'one', typeOid: 25 }]);
  const answers: Readonly<Record<string, (body: string) => readonly Buffer[]>> = {
    Q: (body) => {
      if (body.includes('current_schemas')) return [row('["public"]', '[]', 'read committed', 'off'), commandComplete('SELECT 1'), readyForQuery('I')];
      if (body.includes('pg_settings') || body.startsWith('RESET')) return [commandComplete('SELECT 0'), readyForQuery('I')];
      return [columns, row(body.includes('large') ? 'x'.repeat(100_000) : '1'), commandComplete('SELECT 1'), readyForQuery('I')];
    },
    P: () => [parseComplete], B: () => [bindComplete], D: () => [noParameters, columns], E: () => [row('1'), commandComplete('SELECT 1')], S: () => [readyForQuery('I')],
  };
  const scanner = new FrameScanner({
    message: (type, buffer, start, length) => {
      const answer = answers[String.fromCharCode(type)]?.(buffer.toString('latin1', start + 5, start + length));
      if (answer) client.write(Buffer.concat(answer));
      return CUT;
    },
    pass: () => undefined,
    violation: () => client.destroy(),
  }, { maxMessageBytes: 1 << 20, streamed: '' });
  client.once('data', () => {
    const greeting = [message('R', int32(0)), ...Object.entries(parameters).map(([name, value]) => message('S', cstring(name), cstring(value))), message('K', int32(client.remotePort ?? 1), int32(12345)), readyForQuery('I')];
    client.write(Buffer.concat(greeting));
    client.on('data', (chunk: Buffer) => scanner.push(chunk));
  });
  client.on('error', () => client.destroy());
}
