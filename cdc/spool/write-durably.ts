/** Small files that are written as a whole. */
import * as fs from 'node:fs';
import * as path from 'node:path';

/** The file is the old one or the new one, whatever happens in between. */
export function writeDurably(file: string, text: string): void {
  const fresh = `${file}.new`;
  const fd = fs.openSync(fresh, 'w');
  try {
    fs.writeSync(fd, text);
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
  fs.renameSync(fresh, file);
  syncDirectory(path.dirname(file));
}

/** What was made, renamed or removed in it is so after a crash of the machine, too. */
export function syncDirectory(directory: string): void {
  const fd = fs.openSync(directory, 'r');
  try {
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}
