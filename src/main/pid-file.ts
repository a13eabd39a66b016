/** One supervisor per state directory. */
import * as fs from 'node:fs';

/** Throws when a living process holds the file; the file of a dead one is taken over. */
export function holdPidFile(file: string): Disposable {
  for (let attempt = 0; attempt < 2; attempt += 1) {
    try {
      fs.writeFileSync(file, String(process.pid), { flag: 'wx' });
      return { [Symbol.dispose]: () => fs.rmSync(file, { force: true }) };
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
      const pid = Number(fs.readFileSync(file, 'utf8'));
      if (isAlive(pid)) throw new Error(`already running as process ${pid} (${file}); stop it first, or give another --state-directory`);
      fs.rmSync(file, { force: true });
    }
  }
  throw new Error(`${file} cannot be taken`);
}

function isAlive(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0 || pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
