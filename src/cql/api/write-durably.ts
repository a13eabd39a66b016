/** A small file as a whole: the old one or the new one, whatever crashes. */
import * as fs from 'node:fs';
import * as path from 'node:path';

/** On disk when it returns. */
export function writeDurably(file: string, text: string): void {
  fs.writeFileSync(`${file}.new`, text, { flush: true });
  fs.renameSync(`${file}.new`, file);
  const directory = fs.openSync(path.dirname(file), 'r');
  fs.fsyncSync(directory);
  fs.closeSync(directory);
}
