/** The change stream back: from local, which is PostgreSQL, into the MySQL or MariaDB database that was migrated from. */
import type { Runtime } from '../../config/runtime.ts';
import { PostgresChangeSource } from '../postgres/change-source.ts';
import type { PostgresSourceOptions } from '../postgres/change-source.ts';
import { openStream } from '../stream/change-stream.ts';
import type { OpenedStream } from '../stream/change-stream.ts';
import type { ChangeStreamOptions } from '../stream/options.ts';
import { MysqlChangeTarget } from './change-target.ts';
import type { TypeRules } from './source-column.ts';

/** `source` is local, `target` the MySQL server. Plans are local's, with the table of MySQL as their target. */
export interface ReverseMysqlStreamOptions extends ChangeStreamOptions, PostgresSourceOptions {
  readonly types: TypeRules;
}

export function createReverseMysqlStream(runtime: Runtime, options: ReverseMysqlStreamOptions): OpenedStream {
  return openStream(runtime, options, new PostgresChangeSource(runtime, options), new MysqlChangeTarget(runtime, options));
}
