/** A program from its start to its end: time on the clock, of processors, and the most memory that it had. Linux: read from /proc. */
import { spawn } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { processTimeUs } from '../proxy/process-time.ts';

export interface ProcessFigures {
  readonly seconds: number;
  /** Up to the last look, at most so long before its end. */
  readonly processorSeconds: number;
  readonly maxRssMb: number;
}

const LOOK_MS = 50;

/** Throws with the end of what it said when it ended with anything but 0. */
export async function runMeasured(program: string, args: readonly string[]): Promise<ProcessFigures> {
  const started = performance.now();
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (said = (said + chunk.toString()).slice(-20_000)));
  let [maxRssMb, processorSeconds] = [0, 0];
  const timer = setInterval(() => {
    if (child.pid === undefined) return;
    try {
      maxRssMb = Math.max(maxRssMb, Number(/^VmHWM:\s+(\d+) kB/m.exec(fs.readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1] ?? 0) / 1024);
      processorSeconds = Math.max(processorSeconds, processTimeUs([child.pid]) / 1e6);
    } catch {
      // It has just ended.
    }
  }, LOOK_MS);
  try {
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', resolve);
    });
    if (code !== 0) throw new Error(`${path.basename(program)} ended with ${code}: ${said.slice(-2_000)}`);
  } finally {
    clearInterval(timer);
  }
  return { seconds: (performance.now() - started) / 1000, processorSeconds, maxRssMb };
}
