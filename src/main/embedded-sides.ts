/** Starts the embedded databases that the settings ask for, and fills the sample source on its first start. */
import * as path from 'node:path';
import pg from 'pg';
import type { ServerAddress } from '../../cdc/postgres/server-address.ts';
import type { Settings, SideSettings } from '../../config/settings.ts';
import { startEmbeddedPostgres } from '../ops/embedded-postgres.ts';
import type { EmbeddedPostgres } from '../ops/embedded-postgres.ts';
import { createSampleRoles, loadSampleDatabase } from './sample/load-sample.ts';

export interface Sides extends AsyncDisposable {
  readonly source: ServerAddress;
  readonly local: ServerAddress;
}

const DATABASE = 'shop';
const serverSettings = {
  shared_buffers: '128MB', max_wal_size: '2GB', checkpoint_timeout: '15min', wal_compression: 'on', wal_sender_timeout: '30s',
  log_min_messages: 'warning', log_checkpoints: 'off',
};

export async function startSides(settings: Settings, directory: string, say: (line: string) => void): Promise<Sides> {
  const running: EmbeddedPostgres[] = [];
  const stop = async (): Promise<void> => {
    for (const server of running.splice(0).reverse()) await server.stop('fast');
  };
  const open = async (name: 'source' | 'local', side: SideSettings): Promise<ServerAddress> => {
    if (side.kind === 'server') return addressOf(side);
    say(`starting the embedded ${name} PostgreSQL on port ${side.port}`);
    const server = await startEmbeddedPostgres({ directory: path.join(directory, name), port: side.port, settings: serverSettings }).catch((error: unknown) => {
      if (!String(error).includes('is taken by another program')) throw error;
      throw new Error(`port ${side.port} for the embedded ${name} is taken; choose another with --${name}-port N`);
    });
    running.push(server);
    const address = { host: server.host, port: server.port, user: server.user, database: DATABASE };
    await prepareDatabase(address, side.sample, say);
    return address;
  };
  try {
    const source = await open('source', settings.source);
    const local = await open('local', settings.local);
    return { source, local, [Symbol.asyncDispose]: stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function prepareDatabase(address: ServerAddress, sample: boolean, say: (line: string) => void): Promise<void> {
  const admin = new pg.Client({ ...address, database: 'postgres' });
  await admin.connect();
  try {
    const { rows } = await admin.query('SELECT 1 FROM pg_database WHERE datname = $1', [address.database]);
    if (rows.length === 0) await admin.query(`CREATE DATABASE ${address.database}`);
    await createSampleRoles(admin);
  } finally {
    await admin.end();
  }
  if (!sample) return;
  const known = await hasSample(address);
  if (!known) say('loading the sample order system (first start only)');
  await loadSampleDatabase(address);
}

async function hasSample(address: ServerAddress): Promise<boolean> {
  const client = new pg.Client({ ...address, ssl: false });
  await client.connect();
  try {
    const { rows } = await client.query<{ known: boolean }>("SELECT to_regclass('public.order_items') IS NOT NULL AS known");
    return rows[0]?.known === true;
  } finally {
    await client.end();
  }
}

function addressOf(side: Extract<SideSettings, { kind: 'server' }>): ServerAddress {
  const { ssl } = side;
  return {
    host: side.host, port: side.port, database: side.database, user: side.user,
    ...(side.password === undefined ? {} : { password: side.password }),
    ...(ssl === undefined ? {} : {
      ssl: { mode: ssl.mode, ...(ssl.ca === undefined ? {} : { ca: ssl.ca }), ...(ssl.cert === undefined ? {} : { cert: ssl.cert }), ...(ssl.key === undefined ? {} : { key: ssl.key }) },
    }),
  };
}
