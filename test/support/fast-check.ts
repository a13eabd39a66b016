/** What tests get who import `fast-check` (vitest.config.ts): the package itself, drawing from the seed of `random-seed.ts` and not from the clock. */
import fc from '../../node_modules/fast-check/lib/fast-check.js';
import { randomSeed } from './random-seed.ts';

fc.configureGlobal({ seed: randomSeed() });

export * from '../../node_modules/fast-check/lib/fast-check.js';
export default fc;
