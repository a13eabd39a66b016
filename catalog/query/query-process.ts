/**
 * A process for queries on the catalog: a long one must not hold up the control process, and one that does not end must be
 * killable, which a thread inside SQLite is not. Started by `catalog-query.ts`; ends with its parent.
 */
import { loadModule } from 'libpg-query';
import { QueryRunner } from './query-runner.ts';
import type { QueryAnswer, QueryLimits } from './query-runner.ts';

export interface QueryRequest {
  readonly id: number;
  readonly sql: string;
  /** Stored form: 'YYYY-MM-DD HH:MM:SS.mmm'. */
  readonly now: string;
}

export interface QueryReply {
  readonly id: number;
  readonly answer: QueryAnswer;
}

const [file = '', limits = '{}'] = process.argv.slice(2);
await loadModule();
const runner = new QueryRunner(file, JSON.parse(limits) as QueryLimits);
process.on('message', ({ id, sql, now }: QueryRequest) => {
  const reply: QueryReply = { id, answer: runner.run(sql, now) };
  process.send?.(reply);
});
process.once('disconnect', () => process.exit(0));
