/**
 * Named points at which a test can make the process fail.
 *
 * `CAUSEWAY_FAULT=cutover.after_marker:crash,load.before_chunk_commit:error@3` arms two points. Actions:
 * `crash` (SIGKILL of this process), `error` (throws), `sleep=MS`, `hold` (unless there is `<dir>/<point>.go`, writes
 * `<dir>/<point>.reached` and waits for it, so that a test can kill another process at exactly this point). `@N` fires at the
 * N-th passage only.
 * An unarmed point costs one property read.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

export interface FaultPoints {
  /** True when anything is armed; hot paths test it before they call `hit`. */
  readonly armed: boolean;
  /** Passes the point, unless it is armed. */
  hit(point: string): Promise<void>;
}

export const noFaults: FaultPoints = { armed: false, hit: () => Promise.resolve() };

interface ArmedPoint {
  readonly action: string;
  readonly passage: number | undefined;
  passed: number;
}

/** `specification` is the value of `CAUSEWAY_FAULT`, `directory` that of `CAUSEWAY_FAULT_DIR`. */
export function armFaults(specification: string | undefined, directory: string | undefined): FaultPoints {
  if (specification === undefined || specification === '') return noFaults;
  const points = new Map<string, ArmedPoint>();
  for (const entry of specification.split(',')) {
    const match = /^([\w.]+):(crash|error|hold|sleep=\d+)(?:@(\d+))?$/.exec(entry.trim());
    if (!match?.[1] || !match[2]) throw new Error(`CAUSEWAY_FAULT: cannot read "${entry}"; expected POINT:crash|error|hold|sleep=MS[@N]`);
    points.set(match[1], { action: match[2], passage: match[3] === undefined ? undefined : Number(match[3]), passed: 0 });
  }
  return {
    armed: true,
    hit: async (name) => {
      const point = points.get(name);
      if (!point) return;
      point.passed += 1;
      if (point.passage !== undefined && point.passed !== point.passage) return;
      await act(name, point.action, directory);
    },
  };
}

async function act(name: string, action: string, directory: string | undefined): Promise<void> {
  const isLetThrough = (): boolean => action === 'hold' && directory !== undefined && fs.existsSync(path.join(directory, `${name}.go`));
  if (isLetThrough()) return;
  if (directory !== undefined) fs.writeFileSync(path.join(directory, `${name}.reached`), String(process.pid));
  if (action === 'crash') process.kill(process.pid, 'SIGKILL');
  if (action === 'crash') await delay(60_000);
  if (action === 'error') throw new Error(`fault injected at ${name}`);
  if (action.startsWith('sleep=')) await delay(Number(action.slice('sleep='.length)));
  if (action === 'hold') {
    if (directory === undefined) throw new Error('CAUSEWAY_FAULT: `hold` needs CAUSEWAY_FAULT_DIR');
    while (!isLetThrough()) await delay(10);
  }
}
