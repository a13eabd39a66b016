/**
 * Everything that the product is given: one strict schema, so that a misspelt key is an error and not a silent default.
 *
 * In the file names are `snake_case`, here `camelCase`; units are the last word of a name. `causeway.example.yaml` lists the
 * same keys with their defaults; a test compares the two.
 */
import { z } from 'zod';
import { cqlSettings } from './cql/cql-settings.ts';
import { camelKeys, milliseconds, pem, port, positive, section, ssl, text } from './section.ts';

/** A server that exists already: the shape of `ServerAddress` in `cdc/postgres`. */
const server = section({
  kind: z.literal('server'),
  host: text,
  port: port.default(5432),
  database: text,
  user: text,
  password: z.string().exactOptional(),
  ssl: ssl.exactOptional(),
});

/** A PostgreSQL of the product's own, with its data in `state_directory`; `sample` fills the source with the order system. */
const embedded = section({
  kind: z.literal('embedded'),
  port,
  sample: z.boolean().default(false),
});

/** `kind` may be left out for a server. */
const side = z.preprocess(
  (given) => (typeof given === 'object' && given !== null && !('kind' in given) ? { kind: 'server', ...given } : given),
  z.discriminatedUnion('kind', [server, embedded], { error: 'expected `kind: embedded`, or host, port, database and user of a server' }),
);

/** `SCRAM-SHA-256$<iterations>:<salt>$<stored key>:<server key>` or `md5<hash>`, as PostgreSQL stores them. */
const storedPassword = z.string().regex(/^(?:SCRAM-SHA-256\$\d+:[\w+/=]+\$[\w+/=]+:[\w+/=]+|md5[0-9a-f]{32})$/, 'expected a SCRAM-SHA-256 verifier or an md5 hash as in pg_authid.rolpassword');

const networkAddress = z.string().regex(/^([\da-fA-F.:]+)(\/\d{1,3})?$/, 'expected an IP address or network such as 10.0.0.0/8');

/** 0 is none. */
const connections = z.int().min(0).max(1_000_000);

const poolMode = z.enum(['session', 'transaction', 'pipeline']);

const legCredentials = section({ user: text, password: z.string().exactOptional(), cert: pem.exactOptional(), key: pem.exactOptional() });

const mysqlLogin = section({ user: text, password: z.string().exactOptional() });

const user = z.strictObject({
  name: text,
  password: z.string().min(1).exactOptional(),
  verifier: storedPassword.exactOptional(),
  trust_from: z.array(networkAddress).default([]),
  certificate: z.enum(['login', 'verify-ca', 'verify-full']).exactOptional(),
  certificate_names: z.array(text).min(1).exactOptional(),
  operator: z.boolean().default(false),
  source: legCredentials.exactOptional(),
  local: legCredentials.exactOptional(),
  /** At the MySQL server, for those who come in by the MySQL front door. */
  mysql: mysqlLogin.exactOptional(),
  mysql_native_hash: z.string().regex(/^\*[0-9A-Fa-f]{40}$/, 'expected * and 40 hexadecimal digits, as mysql.user has them for mysql_native_password').exactOptional(),
  max_user_connections: connections.exactOptional(),
  pool_mode: poolMode.exactOptional(),
}).superRefine((given, context) => {
  if (given.password !== undefined && given.verifier !== undefined) context.addIssue({ code: 'custom', path: ['verifier'], message: 'expected either a password or a verifier, not both' });
  if (given.password === undefined && given.verifier === undefined && given.trust_from.length === 0 && given.certificate !== 'login') {
    context.addIssue({ code: 'custom', message: 'expected a way to log in: password, verifier, trust_from or certificate: login' });
  }
  if (given.certificate_names !== undefined && (given.certificate ?? 'verify-ca') === 'verify-ca') context.addIssue({ code: 'custom', path: ['certificate_names'], message: 'expected certificate: login or verify-full, which look at names' });
}).transform(camelKeys);

const database = section({ name: text, max_db_connections: connections.exactOptional(), pool_mode: poolMode.exactOptional() });

/** No name twice. */
function named<Each extends { readonly name: string }>(list: z.ZodType<Each[]>, what: string) {
  return list.superRefine((entries, context) => {
    entries.forEach(({ name }, index) => {
      if (entries.findIndex((other) => other.name === name) < index) context.addIssue({ code: 'custom', path: [index, 'name'], message: `${what} "${name}" is listed twice` });
    });
  });
}

/** Specification §13.1 by its own names, and the defaults of START's options that have no other home. */
const migration = section({
  enabled: z.boolean().default(true),
  max_concurrent_migrations: positive.default(10),
  default_batch_size: positive.max(10_000_000).default(10_000),
  default_parallel_workers: positive.max(64).default(4),
  max_memory_mb: positive.min(64).default(1024),
  cdc_batch_size: positive.max(1_000_000).default(1000),
  cdc_max_lag_seconds: z.number().positive().default(60),
  validation_sample_percent: z.number().positive().max(100).default(1),
  validation_checksum_enabled: z.literal(true, { error: 'only true is possible: counting rows proves nothing about their values' }).default(true),
  default_conflict_strategy: z.enum(['source_wins', 'target_wins', 'timestamp_wins', 'custom_merge', 'fail_on_conflict']).default('source_wins'),
  audit_enabled: z.boolean().default(true),
  audit_level: z.enum(['minimal', 'standard', 'full']).default('full'),
  max_retries: z.int().min(0).default(3),
  retry_initial_delay_ms: milliseconds.default(1000),
  retry_max_delay_ms: milliseconds.default(60_000),
  default_dual_write_mode: z.enum(['sync', 'async', 'two_phase']).default('sync'),
  default_bulk_load_writes: z.enum(['allow', 'block']).default('allow'),
});

const tls = section({ cert: pem, key: pem, required: z.boolean().default(false), ca: pem.exactOptional(), crl: pem.exactOptional() });

/** The front door for MySQL clients, and the server behind it. */
const mysql = section({
  listen: section({ host: text.default('127.0.0.1'), port: port.default(7306) }).prefault({}),
  /** `user`: whom migrations log in as; left out, clients pass and no table can be migrated. */
  server: section({ host: text, port: port.default(3306), standbys: z.array(section({ host: text, port: port.default(3306) })).default([]), user: text.exactOptional(), password: z.string().exactOptional(), ssl: ssl.exactOptional() }),
});

const limits = section({
  max_connections: positive.default(1000),
  reserved_connections: connections.default(3),
  max_user_connections: connections.default(0),
  max_db_connections: connections.default(0),
  max_waiting_clients: connections.default(500),
  statement_bytes: positive.min(1024).default(64 * 1024 * 1024),
  prepared_bytes_per_session: positive.min(1024).default(8 * 1024 * 1024),
  moved_bytes: positive.min(1024).default(1024 * 1024 * 1024),
  spool_bytes: positive.min(1024 * 1024).default(10 * 1024 * 1024 * 1024),
});

/** Somebody has to get in besides the operators. */
const limitsThatFit = limits.superRefine((given, context) => {
  if (given.reservedConnections >= given.maxConnections) context.addIssue({ code: 'custom', message: `expected max_connections (${given.maxConnections}) above reserved_connections (${given.reservedConnections})` });
});

/** Connections of one user to one database on one side, over all gateway processes. */
const pool = section({
  mode: poolMode.default('session'),
  size: positive.max(100_000).default(20),
  /** Of these, so many carry the reads of many sessions, in `pipeline`. */
  lanes: positive.max(1_000).default(4),
  slow_ms: milliseconds.min(1).default(50),
  wait_ms: milliseconds.min(1).default(30_000),
  idle_ms: milliseconds.default(600_000),
  lifetime_ms: milliseconds.min(1).default(3_600_000),
  prepared_statements: positive.default(1000),
});

const timeouts = section({
  startup_ms: milliseconds.min(1).default(10_000),
  connect_ms: milliseconds.min(1).default(10_000),
  quiesce_grace_ms: milliseconds.default(200),
  park_limit_ms: milliseconds.min(1).default(60_000),
  cutover_ms: milliseconds.min(1).default(30_000),
  connection_wait_ms: milliseconds.default(120_000),
  client_idle_ms: milliseconds.default(0),
  idle_transaction_ms: milliseconds.default(0),
  shutdown_ms: milliseconds.default(5000),
});

/** Of each gateway process. */
const shadowReads = section({
  concurrency: positive.max(64).default(2),
  max_waiting: positive.max(100_000).default(100),
  answer_bytes: positive.min(1024).default(1024 * 1024),
  timeout_ms: milliseconds.min(1).default(10_000),
  statements: positive.max(100_000).default(200),
});

const everything = section({
  listen: section({ host: text.default('127.0.0.1'), port: port.default(7432) }).prefault({}),
  http: section({ host: text.default('127.0.0.1'), port: port.default(8080) }).prefault({}),
  /** Gateway processes; 0 = one per core. */
  workers: z.int().min(0).max(256).default(0),
  state_directory: text.default('.causeway/state'),
  source: side,
  local: side.default({ kind: 'embedded', port: 7434, sample: false }),
  users: named(z.array(user).min(1, 'expected at least one user'), 'user'),
  /** By their names on the source. */
  databases: named(z.array(database), 'database').default([]),
  tls: tls.exactOptional(),
  /** Left out: no front door for MySQL clients. */
  mysql: mysql.exactOptional(),
  /** Left out: no proxy between Cassandra or ScyllaDB clusters. */
  cql: cqlSettings.exactOptional(),
  migration: migration.prefault({}),
  /** How long a gateway worker serves an epoch without hearing from the control process (RULES 15). */
  lease_ms: milliseconds.min(100).default(3000),
  /** 32 bytes in base64 that encrypt stored credentials; default: a key file made in `state_directory`. */
  credential_key: z.string().refine((given) => Buffer.from(given, 'base64').length === 32, 'expected 32 bytes in base64').exactOptional(),
  limits: limitsThatFit.prefault({}),
  pool: pool.prefault({}),
  shadow_reads: shadowReads.prefault({}),
  timeouts: timeouts.prefault({}),
  log: section({
    level: z.enum(['debug', 'info', 'warn', 'error']).default('info'),
    format: z.enum(['auto', 'json', 'text']).default('auto'),
  }).prefault({}),
});

/** A certificate that nothing can be checked against would let in nobody, or anybody. */
export const settingsSchema = everything.superRefine((given, context) => {
  given.users.forEach((each, index) => {
    if (each.certificate !== undefined && given.tls?.ca === undefined) context.addIssue({ code: 'custom', path: ['users', index, 'certificate'], message: 'expected tls.ca as well: who may have signed it' });
    for (const name of ['source', 'local'] as const) {
      const [login, side] = [each[name], given[name]];
      if (login?.cert === undefined && login?.key === undefined) continue;
      if (login.cert === undefined || login.key === undefined) context.addIssue({ code: 'custom', path: ['users', index, name], message: 'expected cert and key, or neither' });
      else if (side.kind !== 'server' || side.ssl === undefined) context.addIssue({ code: 'custom', path: ['users', index, name, 'cert'], message: `expected ${name}.ssl as well` });
    }
  });
});

export type Settings = z.output<typeof settingsSchema>;
export type SideSettings = Settings['source'];
export type UserSettings = Settings['users'][number];
export type MigrationSettings = Settings['migration'];

/** What `npm start` uses without a file: both databases embedded, an operator and an application user trusted on loopback. */
export const sampleSettings = {
  source: { kind: 'embedded', port: 7433, sample: true },
  local: { kind: 'embedded', port: 7434 },
  // Everything shares one machine: the applications come first.
  migration: { max_concurrent_migrations: 2, default_parallel_workers: 1 },
  users: [
    { name: 'operator', trust_from: ['127.0.0.1/32', '::1/128'], operator: true },
    { name: 'app', trust_from: ['127.0.0.1/32', '::1/128'] },
  ],
} as const;
