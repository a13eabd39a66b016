/**
 * Fetches Cassandra's jars by Maven, with the registry and proxies that Maven is set up with on this machine, checks each against its pinned checksum and
 * puts them into the user's cache folder. What cannot be had is said and left out: its suites are then skipped by name. `npm test` and `npm run cql:demo` run this first.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { CASSANDRA_VERSION, cassandraFolder, cassandraSources } from './cassandra-folder.ts';

const sums = fs.readFileSync(path.join(cassandraSources, 'sha256sums'), 'utf8');
const folder = cassandraFolder(createHash('sha256').update(sums).digest('hex'));
if (!fs.existsSync(folder)) {
  try {
    install();
  } catch (error) {
    console.error(`causeway: Cassandra ${CASSANDRA_VERSION} could not be installed (its suites are skipped): ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** All or nothing: the folder gets its name when every file in it is the right one. */
function install(): void {
  console.error(`causeway: fetching Cassandra ${CASSANDRA_VERSION} into ${folder}`);
  fs.mkdirSync(path.dirname(folder), { recursive: true });
  const fresh = fs.mkdtempSync(`${folder}.`);
  try {
    const fetchJars = (): ReturnType<typeof spawnSync> => spawnSync('mvn', ['-q', '-B', '-f', path.join(cassandraSources, 'pom.xml'), 'dependency:copy-dependencies', '-DincludeScope=runtime', `-DoutputDirectory=${fresh}`], { encoding: 'utf8' });
    // Once more: a registry that hiccups is commoner than one that is down.
    let maven = fetchJars();
    if (maven.error === undefined && maven.status !== 0) maven = fetchJars();
    if (maven.error !== undefined) throw new Error(`mvn does not run: ${maven.error.message}`);
    if (maven.status !== 0) throw new Error(`mvn ended with ${maven.status}: ${String(maven.stdout).trim().slice(-500)}`);
    check(fresh);
    // Another checkout may have been faster.
    if (fs.existsSync(folder)) fs.rmSync(fresh, { recursive: true, force: true });
    else fs.renameSync(fresh, folder);
  } catch (error) {
    fs.rmSync(fresh, { recursive: true, force: true });
    throw error;
  }
}

function check(fresh: string): void {
  const wanted = new Map(sums.trim().split('\n').map((line) => line.split(/\s+/)).map(([sum, name]) => [name ?? '', sum ?? '']));
  for (const name of fs.readdirSync(fresh)) {
    const sum = createHash('sha256').update(fs.readFileSync(path.join(fresh, name))).digest('hex');
    if (wanted.get(name) !== sum) throw new Error(`${name} has the checksum ${sum}, which is not in sha256sums`);
    wanted.delete(name);
  }
  if (wanted.size > 0) throw new Error(`Maven did not bring ${[...wanted.keys()].join(', ')}`);
}
