/** What became of each test of a driver's own suite, directly and through the gateway; `docs/drivers.md` says where these may differ. */
import { readDocument, tableRows } from '../ops/document-table.ts';
import type { Way } from './driver-servers.ts';

export type Outcome = 'passed' | 'failed' | 'skipped';
export type Outcomes = ReadonlyMap<string, Outcome>;

/** Of a report in JUnit's form. */
export function readJunit(xml: string): Outcomes {
  const outcomes = new Map<string, Outcome>();
  for (const [, attributes = '', , body = ''] of xml.matchAll(/<testcase ([^>]*?)(\/>|>([\s\S]*?)<\/testcase>)/g)) {
    const inside = /^<testcase [^>]*\/>/.test(body) ? '' : body;
    const name = `${attribute(attributes, 'classname')}.${attribute(attributes, 'name')}`.replace(/^tests\./, '');
    outcomes.set(name, /<(?:failure|error)\b/.test(inside) ? 'failed' : /<skipped\b/.test(inside) ? 'skipped' : 'passed');
  }
  return outcomes;
}

function attribute(attributes: string, name: string): string {
  return new RegExp(`(?:^| )${name}="([^"]*)"`).exec(attributes)?.[1] ?? '';
}

/** Of `go test -json`; subtests count by themselves. */
export function readGoTest(lines: string): Outcomes {
  const outcomes = new Map<string, Outcome>();
  const words: Readonly<Record<string, Outcome>> = { pass: 'passed', fail: 'failed', skip: 'skipped' };
  for (const line of lines.split('\n')) {
    if (!line.startsWith('{')) continue;
    const { Test: name, Action: action = '' } = JSON.parse(line) as { Test?: string; Action?: string };
    const outcome = words[action];
    if (name !== undefined && outcome !== undefined) outcomes.set(name, outcome);
  }
  return outcomes;
}

const AGAIN_AT_MOST = 40;

/** Runs all, then what failed once more by itself: tests of others measure times of a tenth of a second, which a busy machine does not keep. */
export async function twiceIfFailed(run: (only: readonly string[] | undefined) => Promise<Outcomes>): Promise<Outcomes> {
  const first = await run(undefined);
  const failed = [...first].filter(([, outcome]) => outcome === 'failed').map(([name]) => name);
  if (failed.length === 0 || failed.length > AGAIN_AT_MOST) return first;
  return new Map([...first, ...await run(failed)]);
}

export interface Listed {
  /** Fail through the gateway in this way. */
  readonly must: ReadonlySet<string>;
  /** Depend on how much is on the way at some moment, or fail directly at times. */
  readonly may: ReadonlySet<string>;
}

/** What the document lists for a driver. */
export function listedFor(driver: string, way: Way): Listed {
  const rows = tableRows(readDocument('drivers.md'), ['driver', 'test', 'while on local', 'why']).filter(([name]) => name === driver);
  const tests = (is: (where: string) => boolean): Set<string> => new Set(rows.filter(([, , where = '']) => is(where)).map(([, test = '']) => test.replaceAll('`', '')));
  return {
    must: tests((where) => where === 'always' || (where === 'any table' && way !== 'nothing') || (where === 'its table' && way === 'tables')),
    may: tests((where) => where === 'at times'),
  };
}

/** Each test that did not go as listed, in words; empty when all is as it should be. */
export function deviations(direct: Outcomes, through: Outcomes, listed: Listed): string[] {
  const found: string[] = [];
  for (const [name, outcome] of direct) {
    if (outcome !== 'passed' || listed.may.has(name)) continue;
    const there = through.get(name) ?? 'not run';
    if (there !== 'passed' && !listed.must.has(name)) found.push(`${name}: ${there} through the gateway`);
    if (there === 'passed' && listed.must.has(name)) found.push(`${name}: passes, and is listed as one that does not`);
  }
  for (const name of listed.must) if (!direct.has(name)) found.push(`${name}: is listed, and is no test of the driver`);
  return found;
}

/** The same of programs that print `name => what came`: each name whose lines differ, with the first pair, unless the difference is listed. */
export function lineDeviations(direct: string, through: string, listed: Listed): string[] {
  const found: string[] = [];
  const [wanted, came] = [linesByName(direct), linesByName(through)];
  for (const name of new Set([...wanted.keys(), ...came.keys()])) {
    const [expected, got] = [wanted.get(name) ?? [], came.get(name) ?? []];
    const at = expected.findIndex((line, index) => line !== got[index]);
    const differs = at >= 0 || expected.length !== got.length;
    if (differs && !listed.must.has(name) && !listed.may.has(name)) found.push(`${name}: ${expected[Math.max(at, 0)] ?? 'nothing'} became ${got[Math.max(at, 0)] ?? 'nothing'}`);
    if (!differs && listed.must.has(name)) found.push(`${name}: does not differ, and is listed as one that does`);
  }
  for (const name of listed.must) if (!wanted.has(name)) found.push(`${name}: is listed, and is not printed`);
  return found;
}

function linesByName(output: string): Map<string, string[]> {
  const lines = new Map<string, string[]>();
  for (const line of output.split('\n')) {
    const [name = '', came] = line.split(' => ');
    if (came !== undefined) lines.set(name.trim(), [...lines.get(name.trim()) ?? [], line]);
  }
  return lines;
}

export function count(outcomes: Outcomes, outcome: Outcome): number {
  return [...outcomes.values()].filter((found) => found === outcome).length;
}
