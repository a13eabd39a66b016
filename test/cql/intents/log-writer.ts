/**
 * A process that appends to an intent log until it is killed. It prints, a line each, what a proxy would have told its clients:
 * `A first last` these tickets are written, `C ticket` this one is cancelled and its cancellation is written, `S ticket` settled (not promised), `O ticket owes` released.
 * Arguments: directory, fsync mode, how many intents.
 */
import { processFaults } from '../../../config/process-runtime.ts';
import { openIntentLog } from '../../../src/cql/intents/disk-log.ts';

const [directory = '', fsync = 'none', count = '1000'] = process.argv.slice(2);
const { log } = openIntentLog({ directory, maxBytes: 1e9, fsync: fsync === 'group' ? 'group' : 'none', faults: processFaults(), onDisk: () => undefined, segmentBytes: 64 * 1024 });
const origin = { version: 4, keyspace: 'ks', user: 'app' };
const statements = Array.from({ length: 5 }, (_, index) => ({ id: Buffer.alloc(16, index + 1), keyspace: 'ks', text: `INSERT INTO t${index} (k, v) VALUES (?, ?)` }));
const cancelling: { readonly ticket: number; readonly number: number }[] = [];
const out: string[] = [];
let written = log.writtenUpTo;
let left = Number(count);

function say(line: string): void {
  out.push(line);
}

log.onWritten = () => {
  if (log.writtenUpTo > written) say(`A ${written + 1} ${log.writtenUpTo}`);
  for (let ticket = written + 1; ticket <= log.writtenUpTo; ticket += 1) after(ticket);
  written = log.writtenUpTo;
  while (cancelling[0] !== undefined && cancelling[0].number <= log.cancelledUpTo) say(`C ${cancelling.shift()?.ticket ?? 0}`);
  // A pipe takes this at once: what was said before the end of the process has been said.
  if (out.length > 0) process.stdout.write(`${out.splice(0).join('\n')}\n`);
};

/** One in seven is cancelled, one in five left to the target, one in three open for ever, the others settled. */
function after(ticket: number): void {
  if (ticket % 7 === 0) cancelling.push({ ticket, number: log.cancel(ticket) });
  else if (ticket % 5 === 0) log.release(ticket, 2);
  else if (ticket % 3 !== 0) {
    log.settle(ticket);
    say(`S ${ticket}`);
  }
}

function turn(): void {
  for (let index = 0; index < 20 && left > 0; index += 1, left -= 1) {
    const ticket = log.writtenUpTo + 1 + index;
    const statement = statements[left % 5];
    log.append(origin, 10, 3, 0, 1_700_000_000_000 + left, statement ? [statement] : [], Buffer.alloc(20 + (ticket % 400), left & 0xff));
  }
  if (left > 0) setImmediate(turn);
  else void log.close().then(() => process.stdout.write('done\n'));
}

turn();
