/** Another program, run to its end beside this process: the gateway lives in this one and must be able to answer meanwhile. */
import { spawn } from 'node:child_process';
import * as fs from 'node:fs';

export interface Ended {
  /** Null when it was killed. */
  readonly code: number | null;
  readonly output: string;
  readonly errors: string;
}

export interface ProgramOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Killed after this time, with what it has started. */
  readonly limitMs: number;
  /** What it reads, and where all goes that it writes: in one file output and errors keep their order, which two pipes lose. */
  readonly files?: { readonly input: string; readonly output: string };
}

/** Rejects only when it cannot be started. */
export function runProgram(program: string, args: readonly string[], options: ProgramOptions): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const files = options.files && [fs.openSync(options.files.input, 'r'), fs.openSync(options.files.output, 'w')] as const;
    const child = spawn(program, args, { cwd: options.cwd, env: options.env ?? process.env, stdio: files ? [...files, files[1]] : ['ignore', 'pipe', 'pipe'], detached: true });
    for (const file of files ?? []) fs.closeSync(file);
    const written = { output: '', errors: '' };
    child.stdout?.setEncoding('utf8').on('data', (part: string) => (written.output += part));
    child.stderr?.setEncoding('utf8').on('data', (part: string) => (written.errors += part));
    const timer = setTimeout(() => child.pid !== undefined && process.kill(-child.pid, 'SIGKILL'), options.limitMs);
    child.once('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.once('close', (code) => {
      clearTimeout(timer);
      resolve({ code, ...written });
    });
  });
}

export interface DialogOptions {
  readonly limitMs: number;
  /** What stands after `? ` in a line of its output; the program then gets a line to read. */
  readonly asked: (what: string) => Promise<void>;
}

/** Another program that asks for things to be done while it runs. Rejects when one of them fails, or when it cannot be started. */
export function runDialog(program: string, args: readonly string[], { limitMs, asked }: DialogOptions): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'], detached: true });
    const written = { output: '', errors: '' };
    let failure: Error | undefined;
    const kill = (): void => void (child.pid !== undefined && child.exitCode === null && process.kill(-child.pid, 'SIGKILL'));
    const timer = setTimeout(kill, limitMs);
    let rest = '';
    child.stdin.on('error', () => undefined);
    child.stdout.setEncoding('utf8').on('data', (part: string) => {
      written.output += part;
      const lines = (rest + part).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        if (!line.startsWith('? ')) continue;
        asked(line.slice(2).trim()).then(() => child.stdin.write('go\n'), (error: unknown) => {
          failure = error instanceof Error ? error : new Error(String(error));
          kill();
        });
      }
    });
    child.stderr.setEncoding('utf8').on('data', (part: string) => (written.errors += part));
    child.once('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.once('close', (code) => {
      clearTimeout(timer);
      if (failure) reject(failure);
      else resolve({ code, ...written });
    });
  });
}
