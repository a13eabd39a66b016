/**
 * The operator's HTTP port: `/metrics`, `/healthz`, `/readyz`, and a plain page at `/`. Read only, no authentication, so it
 * shows no data and no credentials; bind it where only operators reach it.
 *
 * listening → closing (idle connections are closed, running answers finish, the rest is cut after a grace) → closed.
 */
import * as http from 'node:http';
import type { AddressInfo } from 'node:net';

import type { Log } from '../../config/runtime.ts';

export interface OpsHandlers {
  /** Prometheus text. */
  metrics(): string | Promise<string>;
  /** Alive: the process answers and, in the control, holds its lease. Reasons otherwise. */
  health(): Verdict | Promise<Verdict>;
  /** Ready for clients. Reasons otherwise. */
  ready(): Verdict | Promise<Verdict>;
}

/** Good when `reasons` is empty. `details` is shown either way. */
export interface Verdict {
  readonly reasons: readonly string[];
  readonly details?: Readonly<Record<string, unknown>>;
}

export interface OpsServerOptions {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** A handler that takes longer is answered with 503. Default 5,000. */
  readonly handlerTimeoutMs?: number;
  /** A client that has not sent its request by then is cut off. Default 5,000. */
  readonly requestTimeoutMs?: number;
  /** Default 64; more are refused at once. */
  readonly maxConnections?: number;
}

export interface OpsServer extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  /** Resolves once every connection is closed, at the latest after `graceMs` (default 2,000). */
  close(graceMs?: number): Promise<void>;
}

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

const plain = 'text/plain; charset=utf-8';
const json = 'application/json; charset=utf-8';
const prometheusText = 'text/plain; version=0.0.4; charset=utf-8';

/** Rejects when the port can't be had (`EADDRINUSE`, `EACCES`). */
export async function startOpsServer(runtime: { readonly log: Log }, options: OpsServerOptions, handlers: OpsHandlers): Promise<OpsServer> {
  const requestTimeoutMs = options.requestTimeoutMs ?? 5_000;
  const server = http.createServer({
    requestTimeout: requestTimeoutMs, headersTimeout: requestTimeoutMs, keepAliveTimeout: 5_000,
    connectionsCheckingInterval: Math.min(1_000, requestTimeoutMs), maxHeaderSize: 8_192,
  });
  server.maxConnections = options.maxConnections ?? 64;
  server.maxRequestsPerSocket = 1_000;
  // Also for a client that does not read its answer.
  server.setTimeout(requestTimeoutMs * 2, (socket) => socket.destroy());
  server.on('request', (request, response) => {
    respond(runtime.log, request, response, handlers, options.handlerTimeoutMs ?? 5_000).catch((error: unknown) => {
      runtime.log.warn('an answer could not be sent', { path: request.url, error });
      response.destroy();
    });
  });
  server.on('clientError', (_error, socket) => socket.destroy());
  await listen(server, options);
  server.on('error', (error) => runtime.log.error('HTTP port failed', { error }));
  const { address, port } = server.address() as AddressInfo;
  const close = (graceMs = 2_000): Promise<void> => stop(server, graceMs);
  return { host: address, port, close, [Symbol.asyncDispose]: () => close() };
}

function listen(server: http.Server, options: OpsServerOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.host, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

function stop(server: http.Server, graceMs: number): Promise<void> {
  if (!server.listening) return Promise.resolve();
  return new Promise((resolve) => {
    const cut = setTimeout(() => server.closeAllConnections(), graceMs);
    server.close(() => {
      clearTimeout(cut);
      resolve();
    });
    server.closeIdleConnections();
  });
}

async function respond(log: Log, request: http.IncomingMessage, response: http.ServerResponse, handlers: OpsHandlers, timeoutMs: number): Promise<void> {
  request.resume();
  const answer = await within(timeoutMs, answerFor(request, handlers)).catch((error: unknown) => {
    log.warn('HTTP handler failed', { path: request.url, error });
    return failure(error);
  });
  if (response.destroyed) return;
  response.writeHead(answer.status, {
    'content-type': answer.type, 'content-length': Buffer.byteLength(answer.body), 'cache-control': 'no-store', 'x-content-type-options': 'nosniff',
    ...(answer.status === 405 ? { allow: 'GET, HEAD' } : {}),
  });
  response.end(request.method === 'HEAD' ? undefined : answer.body);
}

async function answerFor(request: http.IncomingMessage, handlers: OpsHandlers): Promise<Answer> {
  if (request.method !== 'GET' && request.method !== 'HEAD') return { status: 405, type: plain, body: 'only GET and HEAD\n' };
  const path = (request.url ?? '/').split('?', 1)[0];
  switch (path) {
    case '/metrics': return { status: 200, type: prometheusText, body: await handlers.metrics() };
    case '/healthz': return verdict(await handlers.health(), 'healthy');
    case '/readyz': return verdict(await handlers.ready(), 'ready');
    case '/': return { status: 200, type: 'text/html; charset=utf-8', body: indexPage };
    default: return { status: 404, type: plain, body: 'nothing here; see /\n' };
  }
}

function verdict({ reasons, details }: Verdict, word: 'healthy' | 'ready'): Answer {
  const good = reasons.length === 0;
  return { status: good ? 200 : 503, type: json, body: `${JSON.stringify({ ...details, [word]: good, reasons })}\n` };
}

/** The cause stays in the log of whoever threw it; a stranger at the port learns only that it failed. */
function failure(error: unknown): Answer {
  const reason = error instanceof HandlerTimeout ? error.message : 'the handler failed';
  return { status: 503, type: json, body: `${JSON.stringify({ reasons: [reason] })}\n` };
}

class HandlerTimeout extends Error {}

async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new HandlerTimeout(`no answer within ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

const indexPage = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Causeway</title></head>
<body><h1>Causeway</h1>
<ul>
<li><a href="/healthz">/healthz</a>: the process is alive and holds its lease</li>
<li><a href="/readyz">/readyz</a>: clients are served; 503 with the reasons otherwise</li>
<li><a href="/metrics">/metrics</a>: for Prometheus</li>
</ul>
<p>Migrations are driven with SQL: connect with psql and type <code>SHOW MIGRATION HELP;</code></p>
</body></html>
`;
