/**
 * An HTTP port whose answers are JSON, by a table of routes. Without authentication, so it is bound where only operators and applications reach it.
 *
 * A request is bounded in size and time. A failure is JSON with its code, cause and next step; 4xx when the request is at fault, 409 when the state is, else 503.
 */
import * as http from 'node:http';
import type { AddressInfo } from 'node:net';
import { MigrationError } from '../../config/migration-error.ts';
import type { Log } from '../../config/runtime.ts';

const MOST_BODY_BYTES = 16 * 1024 * 1024;
const CLOSE_MS = 2000;

export interface JsonAnswer {
  readonly status: number;
  readonly body: unknown;
}

export type JsonBody = Readonly<Record<string, unknown>>;

/** `body`: of a GET, what stands behind the `?`, as texts. `words`: what stands in the path where the route has `:name`, in order. `from`: the client's address. */
export type JsonRoute = (body: JsonBody, from: string, words: readonly string[]) => Promise<JsonAnswer> | JsonAnswer;

export interface JsonServerOptions {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** `METHOD /path`, with `:name` for a part that is given. */
  readonly routes: Readonly<Record<string, JsonRoute>>;
  /** Of `GET /metrics`, in Prometheus' format. */
  readonly metrics: () => string;
  /** `GET /metrics` on a port of its own as well. */
  readonly metricsPort?: number | undefined;
}

export class JsonServer {
  readonly #options: JsonServerOptions;
  readonly #server: http.Server;
  readonly #ofMetrics: JsonServer | undefined;

  constructor(log: Log, options: JsonServerOptions) {
    this.#options = options;
    const { host, port, metrics, metricsPort } = options;
    if (metricsPort !== undefined && metricsPort !== port) this.#ofMetrics = new JsonServer(log, { host, port: metricsPort, routes: {}, metrics });
    this.#server = http.createServer({ requestTimeout: 30_000, headersTimeout: 10_000, maxHeaderSize: 16_384 });
    this.#server.maxConnections = 1024;
    this.#server.on('clientError', (_error, socket) => socket.destroy());
    this.#server.on('request', (request, response) => {
      this.#respond(request, response).catch((error: unknown) => {
        log.warn('an answer could not be sent', { path: request.url, error: String(error) });
        response.destroy();
      });
    });
  }

  /** Resolves with the port. */
  async listen(): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(this.#options.port, this.#options.host, () => resolve());
    });
    await this.#ofMetrics?.listen();
    return (this.#server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    await this.#ofMetrics?.close();
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
    this.#server.closeIdleConnections();
    const cut = setTimeout(() => this.#server.closeAllConnections(), CLOSE_MS);
    await closed;
    clearTimeout(cut);
  }

  async #respond(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const path = (request.url ?? '/').split('?', 1)[0] ?? '/';
    if (path === '/metrics' && request.method === 'GET') {
      send(response, 200, 'text/plain; version=0.0.4; charset=utf-8', this.#options.metrics());
      return;
    }
    const { status, body } = await this.#answer(request, path);
    send(response, status, 'application/json; charset=utf-8', `${JSON.stringify(body)}\n`);
  }

  async #answer(request: http.IncomingMessage, path: string): Promise<JsonAnswer> {
    const names = Object.keys(this.#options.routes);
    const found = names.flatMap((name) => {
      const [method = '', pattern = ''] = name.split(' ');
      const words = wordsOf(pattern, path);
      return words === undefined ? [] : [{ method, words, route: this.#options.routes[name] }];
    });
    const chosen = found.find(({ method }) => method === request.method);
    if (!chosen?.route) {
      return { status: found.length > 0 ? 405 : 404, body: { error: found.length > 0 ? `only ${found.map(({ method }) => method).join(', ')}` : 'nothing here', routes: [...names, 'GET /metrics'] } };
    }
    try {
      return await chosen.route(request.method === 'POST' ? await readBody(request) : queryOf(request.url ?? ''), request.socket.remoteAddress ?? '', chosen.words);
    } catch (error) {
      return failedAnswer(error);
    }
  }
}

function queryOf(url: string): JsonBody {
  const at = url.indexOf('?');
  return at < 0 ? {} : Object.fromEntries(new URLSearchParams(url.slice(at + 1)));
}

/** Undefined when the path is another. */
function wordsOf(pattern: string, path: string): readonly string[] | undefined {
  const parts = path.split('/');
  const wanted = pattern.split('/');
  if (parts.length !== wanted.length) return undefined;
  const words: string[] = [];
  for (const [index, part] of wanted.entries()) {
    const given = parts[index] ?? '';
    if (!part.startsWith(':')) {
      if (part !== given) return undefined;
    } else if (given === '') return undefined;
    else {
      try {
        words.push(decodeURIComponent(given));
      } catch {
        return undefined;
      }
    }
  }
  return words;
}

/** A whole number that JSON's numbers cannot hold becomes its text, which a reader can take for exactly that number. */
function exact(_key: string, value: unknown, context?: { readonly source?: string }): unknown {
  return typeof value === 'number' && Number.isInteger(value) && !Number.isSafeInteger(value) && context?.source !== undefined && /^-?\d+$/.test(context.source) ? context.source : value;
}

async function readBody(request: http.IncomingMessage): Promise<JsonBody> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MOST_BODY_BYTES) throw new MigrationError('MIG088', `the body has more than ${MOST_BODY_BYTES} bytes`);
    chunks.push(chunk);
  }
  const text = Buffer.concat(chunks).toString();
  if (text.trim() === '') return {};
  let parsed: unknown;
  try {
    parsed = JSON.parse(text, exact as (key: string, value: unknown) => unknown);
  } catch (error) {
    throw new MigrationError('MIG071', `the body is not JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) throw new MigrationError('MIG071', 'the body is no JSON object');
  return parsed as JsonBody;
}

export function failedAnswer(error: unknown): JsonAnswer {
  if (error instanceof MigrationError) {
    const status = error.code === 'MIG050' || error.code === 'MIG074' ? 409 : error.code === 'MIG071' ? 400 : error.code === 'MIG010' ? 404 : error.code === 'MIG088' ? 413 : 503;
    return { status, body: { error: error.message, code: error.code, detail: error.detail ?? null, hint: error.hint } };
  }
  const { code, message } = error instanceof Error ? (error as Error & { readonly code?: unknown }) : { code: undefined, message: String(error) };
  // Codes of CQL: what the cluster refuses as a statement is the request's fault.
  const isRequest = error instanceof TypeError || (typeof code === 'number' && code >= 0x2000 && code < 0x2500);
  return { status: isRequest ? 400 : 503, body: { error: message, code: typeof code === 'number' ? `0x${code.toString(16).padStart(4, '0')}` : null } };
}

function send(response: http.ServerResponse, status: number, type: string, body: string): void {
  if (response.destroyed) return;
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body), 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' });
  response.end(body);
}
