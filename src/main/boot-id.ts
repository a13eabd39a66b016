/** Another text at each start of the machine; the same one where the system does not tell. */
import * as fs from 'node:fs';

export function bootId(): string {
  try {
    return fs.readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return '';
  }
}
