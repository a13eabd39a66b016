/** A bulk loader from one PostgreSQL database to another. */
import type { Runtime } from '../../config/runtime.ts';
import type { TableLoader } from '../ports.ts';
import { createLoader } from '../snapshot/copy-table.ts';
import type { LoaderOptions } from '../snapshot/load-context.ts';
import { PostgresChunkSource } from './chunk-source.ts';
import type { PostgresChunkSourceOptions } from './chunk-source.ts';

export type PostgresLoaderOptions = LoaderOptions & PostgresChunkSourceOptions;

export function createPostgresLoader(runtime: Runtime, options: PostgresLoaderOptions): TableLoader {
  return createLoader(runtime, options, new PostgresChunkSource(options));
}
