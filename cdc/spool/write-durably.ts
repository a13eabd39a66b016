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
  const directory = fs.openSync(path.dirname(file), 'r');
  try {
    fs.fsyncSync(directory);
  } finally {
    fs.closeSync(directory);
  }
}
