/** Where the jars of Cassandra lie, once per user for every checkout, and which Java can run them. */
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';

export const CASSANDRA_VERSION = '5.0.6';

/** `pom.xml` names the server, `sha256sums` what each of its files must be. */
export const cassandraSources = path.join(import.meta.dirname, 'cassandra');

/** The name holds the checksums' own, so that another list is another folder. */
export function cassandraFolder(fingerprint: string): string {
  const cache = process.env['XDG_CACHE_HOME'] ?? path.join(os.homedir(), '.cache');
  return path.join(cache, 'causeway', 'servers', `cassandra-${CASSANDRA_VERSION}-${fingerprint.slice(0, 8)}`);
}

/** Cassandra 5.0 runs on Java 11 and 17 and on no other. */
const runnableJava = /version "(?:11|17)[.\d]*/;

/** A `java` that can run the server: Debian's 17 before the one on PATH. */
export function findJava(): string | undefined {
  const folders = fs.existsSync('/usr/lib/jvm') ? fs.readdirSync('/usr/lib/jvm').filter((name) => /-(?:11|17)-/.test(name)).sort().reverse().map((name) => `/usr/lib/jvm/${name}/bin`) : [];
  folders.push(...(process.env['PATH'] ?? '').split(path.delimiter).filter((folder) => folder !== ''));
  return folders.map((folder) => path.join(folder, 'java')).find((file) => fs.existsSync(file) && runnableJava.test(spawnSync(file, ['-version'], { encoding: 'utf8' }).stderr));
}
