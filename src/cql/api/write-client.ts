/**
 * `POST /write`: a write by HTTP, sent through the proxy's own front door, so that modes, filter and log are those of every other client. Values are JSON, made into the columns' types by
 * what the cluster says of the prepared statement.
 */
import cassandra from 'cassandra-driver';
import { MigrationError } from '../../../config/migration-error.ts';
import { readCql } from '../../../grammar/cql/statement-facts.ts';

export interface WriteRequest {
  readonly keyspace: string | undefined;
  readonly table: string | undefined;
  readonly query: string;
  readonly values: readonly unknown[];
  readonly consistency: string | undefined;
  /** Microseconds; a text where it does not fit a number. */
  readonly timestamp: number | string | undefined;
}

export interface WriteClientOptions {
  readonly host: string;
  readonly port: number;
  readonly credentials: { readonly username: string; readonly password: string } | undefined;
  /** The proxy's own certificate: it is not looked at on the way to oneself. */
  readonly usesTls: boolean;
  readonly timeoutMs: number;
  /** Rises with each call. */
  readonly nowMicros: () => bigint;
}

/** Each keyspace in use is a client of its own. */
const MOST_CLIENTS = 32;

export class WriteClient {
  readonly #options: WriteClientOptions;
  readonly #clients = new Map<string, cassandra.Client>();

  constructor(options: WriteClientOptions) {
    this.#options = options;
  }

  /** The write's timestamp. Throws MIG071 for what is no write, and what the driver throws. */
  async write(request: WriteRequest): Promise<bigint> {
    checkStatement(request);
    const consistency = readConsistency(request.consistency);
    const timestamp = request.timestamp === undefined ? this.#options.nowMicros() : readTimestamp(request.timestamp);
    const client = this.#client(request.keyspace ?? '');
    await client.execute(request.query, [...request.values], {
      prepare: true, timestamp: cassandra.types.Long.fromString(timestamp.toString()), readTimeout: this.#options.timeoutMs, ...(consistency === undefined ? {} : { consistency }),
    });
    return timestamp;
  }

  #client(keyspace: string): cassandra.Client {
    const known = this.#clients.get(keyspace);
    if (known) return known;
    if (this.#clients.size >= MOST_CLIENTS) throw new MigrationError('MIG085', 'too many keyspaces are written by HTTP', { detail: `Limit: ${MOST_CLIENTS}.`, hint: 'Leave the request\'s keyspace out, and write it in front of the table.' });
    const { host, port, credentials, usesTls } = this.#options;
    const client = new cassandra.Client({
      contactPoints: [`${host}:${port}`], protocolOptions: { port }, ...(keyspace === '' ? {} : { keyspace }), ...(credentials ? { credentials } : {}),
      ...(usesTls ? { sslOptions: { rejectUnauthorized: false } } : {}),
      policies: {
        loadBalancing: new cassandra.policies.loadBalancing.RoundRobinPolicy(),
        // The proxy tries again where it is safe.
        retry: new cassandra.policies.retry.FallthroughRetryPolicy(),
      },
    });
    this.#clients.set(keyspace, client);
    return client;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#clients.values()].map((client) => client.shutdown().catch(() => undefined)));
  }
}

function checkStatement({ query, keyspace, table }: WriteRequest): void {
  const facts = readCql(query);
  if (facts.kind !== 'insert' && facts.kind !== 'update' && facts.kind !== 'delete' && facts.kind !== 'batch') throw refused('expected INSERT, UPDATE, DELETE or a batch of them');
  if (facts.kind === 'batch') return;
  const folded = (name: string): string => (name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name.toLowerCase());
  if (table !== undefined && folded(table) !== facts.table && table !== facts.table) throw refused(`the statement writes ${facts.table ?? 'no table'}, not ${table}`);
  if (keyspace !== undefined && facts.keyspace !== undefined && folded(keyspace) !== facts.keyspace && keyspace !== facts.keyspace) throw refused(`the statement writes keyspace ${facts.keyspace}, not ${keyspace}`);
}

function readConsistency(written: string | undefined): number | undefined {
  if (written === undefined) return undefined;
  const wanted = written.toLowerCase().replace(/[_\s-]/g, '');
  const found = (Object.entries(cassandra.types.consistencies) as [string, unknown][]).find(([name]) => name.toLowerCase() === wanted)?.[1];
  if (typeof found !== 'number') throw refused(`"${written}" is no consistency`);
  return found;
}

function readTimestamp(written: number | string): bigint {
  const text = String(written);
  if (!/^\d{1,18}$/.test(text)) throw refused('timestamp: expected microseconds since 1970');
  return BigInt(text);
}

function refused(message: string): MigrationError {
  return new MigrationError('MIG071', message, { hint: 'docs/cql-operations.md shows the body of /write.' });
}
