/**
 * A data directory for each test server without an initdb for each: a copy of one that the run has made, with a system identifier of its own, by which the
 * product tells servers apart. Half a second of a core becomes some hundredths. Where there is no run (`run-folder.ts`) each server has its initdb.
 */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { startEmbeddedPostgres } from '../../src/ops/embedded-postgres.ts';
import { crc32c } from './crc32c.ts';
import { freePort } from './free-port.ts';

/** Of the first page of each file of the log, behind the header that all pages have (access/xlog_internal.h). */
const WAL_IDENTIFIER_AT = 24;
/** Who makes it may have been killed. */
const PATIENCE_MS = 45_000;

/** Makes `data`, whose parent exists. False: that is left to initdb. */
export async function copyTemplate(data: string): Promise<boolean> {
  const run = process.env['CAUSEWAY_TEST_RUN'];
  if (run === undefined) return false;
  const template = await templateOf(run);
  if (template === undefined) return false;
  await copy(template, data);
  giveIdentifier(data);
  return true;
}

/** Made by the first who asks; the others wait for it, but not for ever. */
async function templateOf(run: string): Promise<string | undefined> {
  const made = path.join(run, 'postgres');
  const lock = path.join(run, 'postgres.lock');
  for (const deadline = Date.now() + PATIENCE_MS; !fs.existsSync(made); await delay(20)) {
    if (!takeLock(lock)) {
      if (Date.now() > deadline) return undefined;
      continue;
    }
    const directory = path.join(run, `postgres.${process.pid}`);
    try {
      const server = await startEmbeddedPostgres({ directory, port: await freePort(), durable: false });
      await server.stop('fast');
      await copy(server.dataDirectory, `${made}.copy`);
      fs.renameSync(`${made}.copy`, made);
    } finally {
      // The next one tries, if this one could not.
      fs.rmSync(directory, { recursive: true, force: true });
      fs.rmSync(`${made}.copy`, { recursive: true, force: true });
      fs.rmdirSync(lock);
    }
  }
  return made;
}

function takeLock(lock: string): boolean {
  try {
    fs.mkdirSync(lock);
    return true;
  } catch {
    return false;
  }
}

/** Owners and modes are kept. */
function copy(from: string, to: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn('cp', ['-a', '--reflink=auto', from, to], { stdio: ['ignore', 'ignore', 'inherit'] });
    child.once('error', reject);
    child.once('exit', (code) => (code === 0 ? resolve() : reject(new Error(`cp of ${from} ended with code ${code}`))));
  });
}

/** The identifier is the first eight bytes of the control file, whose checksum stands behind the fields that it covers (catalog/pg_control.h). */
function giveIdentifier(data: string): void {
  const identifier = randomBytes(8);
  // It is shown as a number without a sign, and is positive with one too: a server's own begins with the time.
  identifier[7] = (identifier[7] ?? 0) & 0x7f;
  const file = path.join(data, 'global/pg_control');
  const control = fs.readFileSync(file);
  const at = checksumAt(control);
  identifier.copy(control, 0);
  control.writeUInt32LE(crc32c(control.subarray(0, at)), at);
  fs.writeFileSync(file, control);
  const log = path.join(data, 'pg_wal');
  for (const name of fs.readdirSync(log).filter((each) => /^[0-9A-F]{24}$/.test(each))) {
    const segment = fs.openSync(path.join(log, name), 'r+');
    fs.writeSync(segment, identifier, 0, identifier.length, WAL_IDENTIFIER_AT);
    fs.closeSync(segment);
  }
}

/** The fields differ from version to version; where the checksum stands is where it is right. */
function checksumAt(control: Buffer): number {
  for (let at = 100; at + 4 <= 512; at += 4) if (control.readUInt32LE(at) === crc32c(control.subarray(0, at))) return at;
  throw new Error('the control file has no checksum that is right');
}
