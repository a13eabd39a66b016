/** Vitest's global set-up: a folder for what the files of one run share, named by the environment of all their processes, and gone at the end. */
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';

export default function setup(): () => void {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'causeway-run-'));
  // PostgreSQL runs as another user where this one is root.
  fs.chmodSync(folder, 0o755);
  process.env['CAUSEWAY_TEST_RUN'] = folder;
  return () => fs.rmSync(folder, { recursive: true, force: true });
}
