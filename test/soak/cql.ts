/**
 * `npm run soak -- cql`: the CQL suite's tests at their full size, one after the other: the random stream between mock clusters and between real ones, SIGKILL of the proxy under load,
 * and what an fsync of the log costs.
 *
 * CQL_STREAM_OPERATIONS and CQL_STREAM_REAL (200,000 each), CQL_STREAM_SEED (the day's), CAUSEWAY_CQL_CRASHES (20). The exit code is 0 when nothing failed.
 */
import { runVitest } from './run-vitest.ts';
import { measureFsync } from './cql-fsync.ts';

/** Exit code. */
export async function run(args: readonly string[]): Promise<number> {
  const wanted = (name: string): boolean => args.length === 0 || args.includes(name);
  let code = 0;
  const suite = async (file: string, sizes: Readonly<Record<string, string>>): Promise<void> => {
    code = Math.max(code, await runVitest([file], { ...sizes, ...Object.fromEntries(Object.keys(sizes).flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]]))) }));
  };
  if (wanted('mock')) await suite('test/cql/random-stream.test.ts', { CQL_STREAM_SEED: 'day', CQL_STREAM_OPERATIONS: '200000', CQL_STREAM_PHASE_MS: '3000' });
  if (wanted('real')) await suite('test/cql/random-stream-cassandra.test.ts', { CQL_STREAM_SEED: 'day', CQL_STREAM_REAL: '200000', CQL_STREAM_REAL_PHASE_MS: '6000' });
  if (wanted('crash')) await suite('test/cql/api/crash.test.ts', { CAUSEWAY_CQL_CRASHES: '20' });
  if (wanted('fsync')) await measureFsync();
  return code;
}
