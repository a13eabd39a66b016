/** The operator's port answers quickly or not at all: no handler, no client and no number of clients can hold it. */
import * as http from 'node:http';
import * as net from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import type { Log } from '../../config/runtime.ts';
import { startOpsServer } from '../../src/ops/http.ts';
import type { OpsHandlers, OpsServer, OpsServerOptions } from '../../src/ops/http.ts';

const logged: string[] = [];
const log: Log = {
  debug: () => {}, info: () => {}, warn: (message) => void logged.push(message), error: (message) => void logged.push(message), child: () => log,
};

const good: OpsHandlers = { metrics: () => 'a 1\n', health: () => ({ reasons: [] }), ready: () => Promise.resolve({ reasons: [], details: { epoch: 7 } }) };
const servers: OpsServer[] = [];

async function start(handlers: Partial<OpsHandlers> = {}, options: Partial<OpsServerOptions> = {}): Promise<OpsServer> {
  const server = await startOpsServer({ log }, { host: '127.0.0.1', port: 0, ...options }, { ...good, ...handlers });
  servers.push(server);
  return server;
}

const get = (server: OpsServer, path: string, init?: RequestInit): Promise<Response> => fetch(`http://127.0.0.1:${server.port}${path}`, init);

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close(100)));
});

/** Connects, writes, and resolves with how long it took until the server closed. */
function closedAfter(server: OpsServer, text: string): Promise<number> {
  const started = performance.now();
  return new Promise((resolve) => {
    const socket = net.connect(server.port, '127.0.0.1', () => socket.write(text));
    socket.on('error', () => {});
    socket.on('close', () => resolve(performance.now() - started));
  });
}

describe('answers', () => {
  test('metrics, health, readiness and the index', async () => {
    const server = await start();
    const metrics = await get(server, '/metrics');
    expect([metrics.status, metrics.headers.get('content-type'), await metrics.text()]).toEqual([200, 'text/plain; version=0.0.4; charset=utf-8', 'a 1\n']);
    const health = await get(server, '/healthz');
    expect([health.status, await health.json()]).toEqual([200, { healthy: true, reasons: [] }]);
    const ready = await get(server, '/readyz?verbose');
    expect([ready.status, await ready.json()]).toEqual([200, { ready: true, reasons: [], epoch: 7 }]);
    const index = await get(server, '/');
    expect(index.headers.get('content-type')).toContain('text/html');
    expect(await index.text()).toContain('/readyz');
  });

  test('not ready: 503 with the reasons', async () => {
    const server = await start({ ready: () => ({ reasons: ['local cannot be reached'] }) });
    const ready = await get(server, '/readyz');
    expect([ready.status, await ready.json()]).toEqual([503, { ready: false, reasons: ['local cannot be reached'] }]);
  });

  test('other paths and methods', async () => {
    const server = await start();
    expect((await get(server, '/etc/passwd')).status).toBe(404);
    const post = await get(server, '/metrics', { method: 'POST', body: 'x' });
    expect([post.status, post.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
    const head = await get(server, '/metrics', { method: 'HEAD' });
    expect([head.status, head.headers.get('content-length'), await head.text()]).toEqual([200, '4', '']);
  });

  test('a failing handler: 503 that does not tell the cause, which is logged', async () => {
    const server = await start({ health: () => { throw new Error('password=x'); }, metrics: () => Promise.reject(new Error('password=x')) });
    for (const path of ['/healthz', '/metrics']) {
      const answer = await get(server, path);
      expect([answer.status, await answer.json()]).toEqual([503, { reasons: ['the handler failed'] }]);
    }
    expect(logged).toContain('HTTP handler failed');
  });

  test('a taken port is reported', async () => {
    const server = await start();
    await expect(start({}, { port: server.port })).rejects.toMatchObject({ code: 'EADDRINUSE' });
  });
});

describe('bounds', () => {
  test('a handler that hangs is answered for', async () => {
    const server = await start({ ready: () => new Promise(() => {}) }, { handlerTimeoutMs: 100 });
    const answer = await get(server, '/readyz');
    expect([answer.status, await answer.json()]).toEqual([503, { reasons: ['no answer within 100 ms'] }]);
  });

  test.each([['says nothing', ''], ['sends half a request', 'GET / HTTP/1.1\r\nHost: x\r\n']])('a client that %s is cut off', async (_case, text) => {
    const server = await start({}, { requestTimeoutMs: 200 });
    expect(await closedAfter(server, text)).toBeLessThan(3000);
    expect((await get(server, '/healthz')).status).toBe(200);
  });

  test('garbage and oversize headers end that connection only', async () => {
    const server = await start();
    expect(await closedAfter(server, '\x16\x03\x01\x02\x00garbage\r\n\r\n')).toBeLessThan(3000);
    expect(await closedAfter(server, `GET / HTTP/1.1\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`)).toBeLessThan(3000);
    expect((await get(server, '/healthz')).status).toBe(200);
  });

  test('more connections than allowed are refused, and room is given again', async () => {
    const server = await start({}, { maxConnections: 2, requestTimeoutMs: 3_000 });
    const idle = [closedAfter(server, ''), closedAfter(server, '')];
    await delay(50);
    expect(await closedAfter(server, 'GET / HTTP/1.1\r\n\r\n')).toBeLessThan(2_000);
    await Promise.all(idle);
    expect((await get(server, '/healthz')).status).toBe(200);
  });
});

describe('stopping', () => {
  test('lets a running answer finish, and takes no new one', async () => {
    let release = (): void => {};
    const server = await start({ metrics: () => new Promise((resolve) => { release = () => resolve('done\n'); }) });
    const running = get(server, '/metrics');
    await delay(50);
    const closed = server.close(5000);
    await delay(20);
    await expect(get(server, '/healthz')).rejects.toThrow();
    release();
    expect(await (await running).text()).toBe('done\n');
    await closed;
  });

  test('cuts what is still open after the grace; closing twice is harmless', async () => {
    const server = await start({ metrics: () => new Promise(() => {}) });
    const agent = new http.Agent({ keepAlive: true });
    const request = http.get({ port: server.port, path: '/metrics', agent });
    const failed = new Promise((resolve) => request.on('error', resolve));
    await delay(50);
    const started = performance.now();
    await server.close(100);
    expect(performance.now() - started).toBeLessThan(2000);
    await failed;
    await server.close();
    agent.destroy();
  });
});
