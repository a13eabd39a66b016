/**
 * Where random tests begin. A number of the test's own, the same in every run: what fails can be run again, and no run is red because of its day.
 * CAUSEWAY_RANDOM_SEED gives all of them another: a number, or `day`, which is a new one every day (`npm run soak -- random`).
 */

const FIXED = 20;
const DAY_MS = 86_400_000;

/** `variable`: of the environment, for this test alone; it wins. */
export function randomSeed(variable?: string, environment: Readonly<Record<string, string | undefined>> = process.env): number {
  const given = (variable === undefined ? undefined : environment[variable]) ?? environment['CAUSEWAY_RANDOM_SEED'] ?? String(FIXED);
  if (given === 'day') return Math.floor(Date.now() / DAY_MS);
  const seed = Number(given);
  if (given.trim() === '' || !Number.isSafeInteger(seed)) throw new Error(`a random seed is a whole number, or day: ${given}`);
  return seed;
}
