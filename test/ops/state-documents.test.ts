/** The documents of states, cutover and operations say what the code says: states, moves, steps, alerts, codes, fault points. */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { legalMoves, tableStates } from '../../catalog/table-state.ts';
import { errorKinds } from '../../config/migration-error.ts';
import { allPoints, commitPoints, markedCommitPoints } from '../e2e/crash-points.ts';
import { readDocument, tableRows } from './document-table.ts';

const project = path.resolve(import.meta.dirname, '../..');
const words = (cell: string): string[] => [...cell.matchAll(/`([^`]+)`/g)].map(([, word = '']) => word);

describe('states.md', () => {
  const document = readDocument('states.md');
  const states = tableRows(document, ['state', 'the truth', 'reads', 'writes', 'what is going on']);

  test('every state, in the order of the code', () => {
    expect(states.map(([state = '']) => words(state)[0])).toEqual([...tableStates]);
  });

  test('every legal move, and no other', () => {
    expect(tableRows(document, ['from', 'to']).map(([from = '', to = '']) => [words(from)[0], words(to)])).toEqual(tableStates.map((state) => [state, [...legalMoves(state)]]));
  });

  test('every move that somebody is said to make is legal', () => {
    for (const [move = ''] of tableRows(document, ['move', 'who'])) {
      const [left = '', right] = move.split('→');
      if (right === undefined || words(left).length === 0 || words(right).length === 0) continue;
      for (const from of tableStates.filter((state) => words(left).includes(state))) {
        for (const to of words(right)) expect(legalMoves(from), move).toContain(to);
      }
    }
  });

  test('reads and writes are those of routing.md', () => {
    const routing = readDocument('routing.md');
    const header = routing.split('\n').find((line) => line.startsWith('| what | statement | session |'))?.split('|').slice(1, -1).map((cell) => cell.trim()) ?? [];
    const rows = tableRows(routing, header);
    for (const [statement, column] of [['plain read', 2], ['UPDATE', 3]] as const) {
      const row = rows.find(([what]) => what === statement) ?? [];
      for (const state of states) {
        const name = words(state[0] ?? '')[0] ?? '';
        const leg = /^(source|local)/.exec(row[header.indexOf(name)] ?? '')?.[0];
        // ROLLBACK and ERROR have the authority of before: routing.md shows one of the two.
        if (name === 'ROLLBACK' || name === 'ERROR') continue;
        expect(`${name} ${/^(source|local)/.exec(state[column] ?? '')?.[0]}`, statement).toBe(`${name} ${leg}`);
      }
    }
  });
});

describe('cutover.md', () => {
  const document = readDocument('cutover.md');

  test.each([['cutover', 'Steps of a cutover'], ['rollback', 'Steps of a rollback']])('every step of a %s, in its order', (direction, title) => {
    const code = fs.readFileSync(path.join(project, `src/migrate/${direction}.ts`), 'utf8');
    const steps = [...code.matchAll(/clock\.done\('(\w+)'/g)].map(([, step]) => step);
    expect(steps.length).toBeGreaterThan(5);
    expect(tableRows(document, ['step', 'what has been done', 'a crash here'], title).map(([step = '']) => words(step)[0])).toEqual(steps);
  });
});

describe('operations.md', () => {
  const document = readDocument('operations.md');

  test('every alert has its procedure', () => {
    const { groups } = parse(fs.readFileSync(path.join(project, 'config/deploy/prometheus-rules.yaml'), 'utf8')) as { groups: { rules: { alert: string }[] }[] };
    expect(tableRows(document, ['alert', 'look at', 'do']).map(([alert = '']) => words(alert)[0])).toEqual(groups.flatMap((group) => group.rules.map(({ alert }) => alert)));
  });

  test('every error code is in one class', () => {
    const ranges = tableRows(document, ['codes', 'what is wrong', 'first thing to do']).map(([codes = '']) => codes.split('–'));
    for (const code of Object.keys(errorKinds)) expect(ranges.filter(([from = '', to = '']) => from <= code && code <= to).length, code).toBe(1);
  });

  test('every fault point', () => {
    expect(tableRows(document, ['part', 'points']).flatMap(([, points = '']) => words(points)).toSorted()).toEqual([...allPoints, ...commitPoints, ...markedCommitPoints].toSorted());
  });
});

describe('links', () => {
  const pages = ['README.md', ...fs.readdirSync(path.join(project, 'docs')).filter((file) => file.endsWith('.md')).map((file) => `docs/${file}`)];

  test.each(pages)('%s leads to what exists', (page) => {
    const text = fs.readFileSync(path.join(project, page), 'utf8').replaceAll(/```[\s\S]*?```/g, '');
    for (const [, target = ''] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(target)) continue;
      const [file = '', anchor] = target.split('#');
      const found = path.resolve(project, path.dirname(page), file === '' ? path.basename(page) : file);
      expect(fs.existsSync(found), target).toBe(true);
      if (anchor === undefined) continue;
      const titles = [...fs.readFileSync(found, 'utf8').matchAll(/^#+ (.*)$/gm)].map(([, title = '']) => title.toLowerCase().replaceAll(/[^\w\- ]/g, '').replaceAll(' ', '-'));
      expect(titles, target).toContain(anchor);
    }
  });

  test('the index names every page', () => {
    const index = readDocument('README.md');
    for (const page of pages) if (page.startsWith('docs/') && page !== 'docs/README.md') expect(index).toContain(`(${page.slice(5)})`);
  });
});
