/** A change stream whose captured side is a PostgreSQL database. */
import type { Runtime } from '../../config/runtime.ts';
import { openStream } from '../stream/change-stream.ts';
import type { OpenedStream } from '../stream/change-stream.ts';
import type { ChangeStreamOptions } from '../stream/options.ts';
import { PostgresChangeSource } from './change-source.ts';
import type { PostgresSourceOptions } from './change-source.ts';
import { PostgresChangeTarget } from './change-target.ts';

export type PostgresStreamOptions = ChangeStreamOptions & PostgresSourceOptions;

export function createChangeStream(runtime: Runtime, options: PostgresStreamOptions): OpenedStream {
  return openStream(runtime, options, new PostgresChangeSource(runtime, options), new PostgresChangeTarget(runtime, options));
}
