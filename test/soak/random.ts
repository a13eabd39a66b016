/**
 * `npm run soak -- random [file …]`: the random tests of `npm test`, which begin at the same seed in every run there, from the day's, or from CAUSEWAY_RANDOM_SEED.
 * The exit code is 0 when nothing failed.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { randomSeed } from '../support/random-seed.ts';
import { runVitest } from './run-vitest.ts';

const tests = path.dirname(import.meta.dirname);

/** Exit code. */
export function run(files: readonly string[]): Promise<number> {
  const seed = randomSeed(undefined, { CAUSEWAY_RANDOM_SEED: process.env['CAUSEWAY_RANDOM_SEED'] ?? 'day' });
  return runVitest(files.length > 0 ? files : randomTests(), { CAUSEWAY_RANDOM_SEED: String(seed) });
}

/** Their generators may stand in a file beside them. */
function randomTests(): readonly string[] {
  const names = fs.readdirSync(tests, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));
  const sources = new Map(names.map((name) => [path.join(tests, name), fs.readFileSync(path.join(tests, name), 'utf8')]));
  const isRandom = (text: string): boolean => /from '(?:fast-check|[./]+\/(?:support\/)?random-seed\.ts)'/.test(text);
  const generators = [...sources].filter(([file, text]) => !file.endsWith('.test.ts') && isRandom(text)).map(([file]) => `/${path.basename(file)}'`);
  return [...sources].filter(([file, text]) => file.endsWith('.test.ts') && (isRandom(text) || generators.some((name) => text.includes(name)))).map(([file]) => path.relative(path.dirname(tests), file));
}
