/**
 * A second control process for the fencing test. Arguments: catalog file, key file, `take-over` or `acquire`. Prints one JSON line per
 * event; each line on its standard input makes it write once.
 */
import * as os from 'node:os';
import * as readline from 'node:readline';
import { loadOrCreateKey } from '../../catalog/credentials.ts';
import { openSqliteCatalog } from '../../catalog/sqlite/open-catalog.ts';
import { testClock } from './support.ts';

const [file = '', keyFile = '', how = 'acquire'] = process.argv.slice(2);
const say = (event: object): void => console.log(JSON.stringify(event));
const failure = (error: unknown): object => ({ event: 'refused', message: String(error), code: (error as { code?: string }).code, detail: (error as { detail?: string }).detail });

const catalog = openSqliteCatalog({ file, key: loadOrCreateKey(keyFile), clock: testClock() });
try {
  const token = await catalog.acquire({ pid: process.pid, host: os.hostname(), label: 'second' }, { takeOver: how === 'take-over' });
  say({ event: 'owner', token, pid: process.pid });
} catch (error) {
  say(failure(error));
  process.exit(0);
}
let writes = 0;
for await (const line of readline.createInterface({ input: process.stdin })) {
  try {
    await catalog.putSetting('written_by_second', `${line}:${writes}`);
    writes += 1;
    say({ event: 'written', writes });
  } catch (error) {
    say(failure(error));
  }
}
