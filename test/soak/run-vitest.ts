/** Test files in a vitest of their own, with these variables in its environment; what it prints is seen. */
import { spawn } from 'node:child_process';
import * as path from 'node:path';

const project = path.dirname(path.dirname(import.meta.dirname));

/** Exit code. */
export function runVitest(files: readonly string[], environment: Readonly<Record<string, string | undefined>>): Promise<number> {
  console.log(`soak: ${files.join(' ')}, ${Object.entries(environment).map(([name, value]) => `${name}=${value}`).join(' ')}`);
  const child = spawn(process.execPath, [path.join(project, 'node_modules/vitest/vitest.mjs'), 'run', '--reporter=verbose', ...files], { cwd: project, stdio: 'inherit', env: { ...process.env, ...environment } });
  return new Promise((resolve) => child.once('exit', (code) => resolve(code ?? 1)));
}
