/** The demo of the CQL suite goes through to its end on two simulated clusters, says when a promise is broken, ends what it started when it is interrupted, and says what to do where Cassandra cannot be had. */
import { spawn } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runProgram } from '../drivers/run-program.ts';
import type { Ended } from '../drivers/run-program.ts';
import { cqlDemoReport } from './cql-demo-report.ts';
import type { CqlDemoFindings } from './cql-demo-report.ts';

const program = path.join(import.meta.dirname, 'cql-demo.ts');
const LIMIT_MS = 240_000;
let parent: string;

beforeAll(() => {
  parent = fs.mkdtempSync(path.join(os.tmpdir(), 'cql-demo-'));
});
afterAll(() => fs.rmSync(parent, { recursive: true, force: true }));

const demo = (...args: readonly string[]): Promise<Ended> => runProgram(process.execPath, [program, ...args], { limitMs: LIMIT_MS, env: { ...process.env, XDG_CACHE_HOME: path.join(parent, 'empty') } as Record<string, string> });

/** Processes whose command line names the folder. */
function processesOf(folder: string): readonly string[] {
  return fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name)).filter((pid) => {
    try {
      return fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(folder);
    } catch {
      return false;
    }
  });
}

describe('npm run cql:demo', () => {
  test('moves a cluster through all phases, and every promise holds', async () => {
    const folder = path.join(parent, 'whole');
    const { code, output, errors } = await demo('--simulated', '--rows', '200', '--rate', '60', '--state-directory', folder);
    expect(code, output + errors).toBe(0);
    for (const title of ['Phase 1', 'Phase 2', 'Phase 3', 'Phase 4', 'Phase 5']) expect(output).toContain(`== ${title}`);
    expect(output).toMatch(/rows\/s.*TargetOnly: healthy.*== Promises ==/s);
    expect(output).not.toContain('BROKEN');
    expect(fs.readFileSync(path.join(folder, 'report.txt'), 'utf8')).toContain('== Promises ==');
    expect(processesOf(folder)).toEqual([]);
  }, LIMIT_MS);

  test('leaves nothing running when it is interrupted', async () => {
    const folder = path.join(parent, 'interrupted');
    const child = spawn(process.execPath, [program, '--simulated', '--rows', '200', '--rate', '60', '--state-directory', folder], { stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      // The load's process is under way, and so is the proxy.
      if (!output.includes('npm run cql -- load') && (output + chunk).includes('npm run cql -- load')) child.kill('SIGINT');
      output += chunk;
    });
    const code = await new Promise((resolve) => child.once('close', resolve));
    expect(code, output).toBe(130);
    expect(output).toContain('demo failed: ');
    expect(processesOf(folder)).toEqual([]);
    expect(fs.existsSync(`${folder}.pid`)).toBe(false);
  }, LIMIT_MS);

  test.each([
    [[], /cannot be started here.*openjdk-17.*--source HOST:PORT --target HOST:PORT.*--simulated/s], [['--source', 'a', '--target', 'b:1'], /--source: expected HOST:PORT/],
  ])('with %j it says what it needs', async (args, message) => {
    const { code, output } = await demo(...args, '--state-directory', path.join(parent, 'refused'));
    expect(output).toMatch(message);
    expect(code).toBe(1);
  });
});

describe('its report', () => {
  const good: CqlDemoFindings = {
    clusters: ['a', 'b'], phases: [], rows: 10, loadedRows: 12, loadMs: 1000, differentBefore: 0, spoilt: ['ValueMismatch', 'TTLMismatch'], found: { ValueMismatch: 1, TTLMismatch: 1 }, repaired: 3, leftDifferent: 0, refusal: 'because',
    lost: 0, different: 0, queued: 0, repairEntries: 0, application: { writes: 5, reads: 1, errors: [], errorCount: 0, notSeen: 0, modes: [] }, totalMs: 1,
  };

  test('holds when everything held', () => {
    expect(cqlDemoReport(good)).toMatchObject({ held: true, text: expect.not.stringContaining('BROKEN') as string });
  });

  test.each<[string, Partial<CqlDemoFindings>]>([
    ['a lost write', { lost: 1 }], ['a row that differs', { different: 1 }], ['rows that were not loaded', { loadedRows: 9 }], ['a difference that nobody made', { differentBefore: 1 }], ['a kind that was not found', { found: { ValueMismatch: 2 } }],
    ['a row that was not repaired', { repaired: 2 }], ['a difference that is left', { leftDifferent: 1 }], ['a switch that was not refused', { refusal: undefined }], ['an error', { application: { ...good.application, errorCount: 1, errors: ['x'] } }],
    ['a stale read', { application: { ...good.application, notSeen: 1 } }], ['a write in the queue', { queued: 1 }], ['a write to repair', { repairEntries: 1 }],
  ])('does not with %s', (_name, change) => {
    const { held, text } = cqlDemoReport({ ...good, ...change });
    expect([held, text.match(/BROKEN/g)?.length]).toEqual([false, 1]);
  });
});
