/** The list of crash points is the list of fault points in the code. */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { allCases, allPoints, clusterPoints, commitPoints, groupPoints, markedCommitPoints, sampleCases } from './crash-points.ts';

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '../..');

/** `hit('a.b')`; a prefix with a step (`${…}.before_commit`) and the steps of a switch (`clock.done('step')`) by their files. */
function pointsInCode(): string[] {
  const points = new Set<string>();
  const switches = { 'src/migrate/cutover.ts': 'cutover', 'src/migrate/rollback.ts': 'rollback' };
  for (const folder of ['src', 'cdc']) {
    for (const entry of fs.readdirSync(path.join(root, folder), { recursive: true, encoding: 'utf8' })) {
      if (!entry.endsWith('.ts')) continue;
      const file = path.posix.join(folder, entry.split(path.sep).join('/'));
      const text = fs.readFileSync(path.join(root, file), 'utf8');
      for (const match of text.matchAll(/(?:\.hit|\bpoint)\('([\w.]+)'/g)) points.add(match[1] ?? '');
      for (const match of text.matchAll(/\.hit\(`\$\{[^}]*faultPrefix\}\.(\w+)`\)/g)) points.add(`stream.${match[1]}`);
      const prefix = (switches as Record<string, string>)[file];
      if (prefix !== undefined) for (const match of text.matchAll(/clock\.done\('(\w+)'/g)) points.add(`${prefix}.${match[1]}`);
    }
  }
  return [...points].sort();
}

/** Of the loader of CQL tables and of its indexes: test/cdc/cassandra crashes there. */
const cassandraPoints = ['cassandra.indexes.before_drop', 'cassandra.load.page_written'];

it('every fault point has its crash test', () => {
  expect([...allPoints, ...commitPoints, ...markedCommitPoints, ...cassandraPoints, ...clusterPoints, ...groupPoints].sort()).toEqual(pointsInCode());
});

it('the short run has every point, and every phase with every victim', () => {
  const victims = ['control', 'worker', 'source', 'local'] as const;
  const phases = new Set(allCases.map(({ phase }) => phase));
  expect(new Set(victims.flatMap((victim) => sampleCases(victim).map(({ point }) => point)))).toEqual(new Set(allPoints));
  expect(sampleCases('control').length).toBeGreaterThanOrEqual(24);
  for (const victim of victims) {
    const reached = new Set(sampleCases(victim).map(({ phase }) => phase));
    for (const phase of phases) if (phase !== 'abort') expect(reached, `${victim} ${phase}`).toContain(phase);
  }
});
