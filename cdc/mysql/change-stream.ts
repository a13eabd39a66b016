/** A change stream whose captured side is a MySQL or MariaDB database. */
import type { Runtime } from '../../config/runtime.ts';
import { PostgresChangeTarget } from '../postgres/change-target.ts';
import { openStream } from '../stream/change-stream.ts';
import type { OpenedStream } from '../stream/change-stream.ts';
import type { ChangeStreamOptions } from '../stream/options.ts';
import { MysqlChangeSource } from './change-source.ts';
import type { MysqlSourceOptions } from './change-source.ts';

export type MysqlStreamOptions = ChangeStreamOptions & MysqlSourceOptions;

export function createMysqlStream(runtime: Runtime, options: MysqlStreamOptions): OpenedStream {
  return openStream(runtime, options, new MysqlChangeSource(runtime, options), new PostgresChangeTarget(runtime, options));
}
