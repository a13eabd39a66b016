/** What became of each test of PostgreSQL's regression schedule: the same output as directly, or not; `docs/drivers.md` says where it may not be. */
import { readDocument, tableRows } from '../ops/document-table.ts';
import type { Way } from './driver-servers.ts';
import { deviations } from './outcomes.ts';
import type { Listed, Outcomes } from './outcomes.ts';
import type { Outputs } from './regression-run.ts';

/** Each test of `through`, failed where the output is not that of `direct`. */
export function outcomesOf(direct: Outputs, through: Outputs): Outcomes {
  return new Map([...through].map(([test, output]) => [test, output === direct.get(test) ? 'passed' : 'failed'] as const));
}

/** Each test that did not go as listed, in words, with the first line that is not the same; `steady` are those that say something. */
export function unlistedDeviations(direct: Outputs, through: Outputs, way: Exclude<Way, 'direct'>, isSteady: (test: string) => boolean = () => true): string[] {
  const run = new Map([...through].filter(([test]) => isSteady(test)));
  const listed = listedTests(way);
  const found = deviations(outcomesOf(direct, new Map([...run.keys()].map((test) => [test, direct.get(test) ?? '']))), outcomesOf(direct, run), {
    may: listed.may, must: new Set([...listed.must].filter((test) => run.has(test))),
  });
  return found.map((deviation) => {
    const test = deviation.slice(0, deviation.indexOf(':'));
    return `${deviation}; ${firstDifference(direct.get(test) ?? '', through.get(test) ?? '')}`;
  });
}

/** For people. */
function firstDifference(direct: string, through: string): string {
  const [expected, got] = [direct.split('\n'), through.split('\n')];
  const at = expected.findIndex((line, index) => line !== got[index]);
  if (at < 0 && expected.length === got.length) return 'it is the same';
  const line = at < 0 ? expected.length : at;
  return `line ${line + 1}: ${shortened(expected[line])} became ${shortened(got[line])}`;
}

function shortened(line = 'nothing'): string {
  return line.length > 150 ? `${line.slice(0, 150)}…` : line;
}

/** What the document lists for the schedule. */
function listedTests(way: Exclude<Way, 'direct'>): Listed {
  const rows = tableRows(readDocument('drivers.md'), ['tests', 'while on local', 'why'], "PostgreSQL's own tests");
  const tests = (...wanted: readonly string[]): Set<string> =>
    new Set(rows.filter(([, where = '']) => wanted.includes(where)).flatMap(([names = '']) => [...names.matchAll(/`(\w+)`/g)].map(([, name = '']) => name)));
  return {
    must: tests('always', ...(way === 'nothing' ? [] : ['any table']), ...(way === 'tables' ? ['its table'] : [])),
    may: tests('at times'),
  };
}
