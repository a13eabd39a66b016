/**
 * PostgreSQL's own regression schedule, of the version of the server that this machine has: from the source package of its distribution, by apt with lists
 * of its own, so that nothing of the system's changes and nobody has to be root. Without a compiler or the server's headers the tests that need C functions
 * see the error that says so, on every way alike.
 */
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { findTool } from '../support/tools.ts';
import { bring, failed } from './driver-packages.ts';
import type { Brought } from './driver-packages.ts';

const SUITE_IN_SOURCE = 'src/test/regress';
const debianSources = '/etc/apt';

/** A folder with `sql/`, `data/`, `parallel_schedule` and, in `lib/`, the libraries that the tests load. */
export function bringRegression(): Promise<Brought> {
  const postgres = findTool('postgres');
  if (postgres === undefined) return Promise.resolve({ missing: 'postgres is not installed' });
  const [, version = '', major = '', ofPackage] = /((\d+)\.\d+)(?: \(\S+ (\S+)\))?/.exec(execFileSync(postgres, ['--version'], { encoding: 'utf8' })) ?? [];
  return bring(`postgresql-regress-${version}`, `${version} ${ofPackage ?? ''}`, async (place) => {
    const apt = prepareApt(place);
    if (typeof apt === 'string') return apt;
    const notListed = await failed('apt-get', [...apt, 'update'], place);
    if (notListed !== undefined) return notListed;
    // Another revision of the same version has the same tests, as long as it can be had at all.
    const names = [ofPackage, undefined].map((revision) => (name: string) => (revision === undefined ? name : `${name}=${revision}`));
    const fetched = await firstThatWorks(names.map((named) => () => failed('apt-get', [...apt, 'source', '--download-only', named(`postgresql-${major}`)], place)));
    if (fetched !== undefined) return fetched;
    const archive = fs.readdirSync(place).find((name) => name.includes('.orig.tar.'));
    if (archive === undefined) return `the source package of postgresql-${major} has no sources`;
    const notUnpacked = await failed('tar', ['xf', archive, '--no-same-owner', '--strip-components=4', '--wildcards', `*/${SUITE_IN_SOURCE}`], place);
    if (notUnpacked !== undefined) return notUnpacked;
    await firstThatWorks(names.map((named) => () => failed('apt-get', [...apt, 'download', named(`postgresql-server-dev-${major}`)], place)));
    await makeLibraries(place, major, path.resolve(fs.realpathSync(postgres), '../../lib'));
    for (const name of fs.readdirSync(place)) if (name === 'apt' || /\.(?:deb|dsc|tar\.\w+)$/.test(name)) fs.rmSync(path.join(place, name), { recursive: true });
    return undefined;
  });
}

/** Options with which apt looks for sources as well, in lists of its own; or why it cannot. */
function prepareApt(place: string): readonly string[] | string {
  if (!fs.existsSync(path.join(debianSources, 'sources.list.d'))) return 'this is no Debian: apt has no sources';
  const codename = /^VERSION_CODENAME=(\S+)$/m.exec(fs.readFileSync('/etc/os-release', 'utf8'))?.[1] ?? '';
  const files = ['sources.list', ...fs.readdirSync(path.join(debianSources, 'sources.list.d')).map((name) => path.join('sources.list.d', name))]
    .map((name) => path.join(debianSources, name)).filter((name) => fs.existsSync(name));
  const apt = path.join(place, 'apt');
  for (const name of ['parts', 'lists/partial', 'cache/archives/partial']) fs.mkdirSync(path.join(apt, name), { recursive: true });
  // Only the distribution's own: those of others may not answer, and have no PostgreSQL of this revision.
  const isOwn = (stanza: string): boolean => new RegExp(`(?:^|\\s)${codename}(?:-\\S+)?(?=\\s)`).test(stanza);
  for (const file of files) {
    const text = fs.readFileSync(file, 'utf8');
    const [own, both] = file.endsWith('.sources')
      ? [text.split(/\n\s*\n/).filter(isOwn).join('\n\n'), (stanzas: string) => stanzas.replace(/^Types:.*$/gm, 'Types: deb deb-src')]
      : [text.split('\n').filter((line) => line.startsWith('deb ') && isOwn(line)).join('\n'), (lines: string) => `${lines}\n${lines.replace(/^deb /gm, 'deb-src ')}\n`];
    if (own.trim() !== '') fs.writeFileSync(path.join(apt, 'parts', path.basename(file)), both(own));
  }
  return ['-qq', '-o', 'Dir::Etc::sourcelist=/dev/null', '-o', `Dir::Etc::sourceparts=${apt}/parts`, '-o', `Dir::State::lists=${apt}/lists`, '-o', `Dir::Cache=${apt}/cache`, '-o', 'APT::Sandbox::User=root'];
}

/** Undefined when one did, else why the last one did not. */
async function firstThatWorks(attempts: readonly (() => Promise<string | undefined>)[]): Promise<string | undefined> {
  let reason: string | undefined;
  for (const attempt of attempts) {
    reason = await attempt();
    if (reason === undefined) return undefined;
  }
  return reason;
}

/** `lib/` is what the tests take for the server's own library folder: a few of its libraries, and the one that belongs to the tests. */
async function makeLibraries(place: string, major: string, ofServer: string): Promise<void> {
  const lib = path.join(place, 'lib');
  fs.mkdirSync(lib);
  for (const name of ['autoinc.so', 'refint.so']) if (fs.existsSync(path.join(ofServer, name))) fs.symlinkSync(path.join(ofServer, name), path.join(lib, name));
  const headers = fs.readdirSync(place).find((name) => name.endsWith('.deb'));
  if (headers === undefined) return;
  const unpacked = path.join(place, 'apt', 'headers');
  await failed('dpkg-deb', ['-x', headers, unpacked], place);
  await failed('cc', ['-shared', '-fPIC', '-O1', `-I${unpacked}/usr/include/postgresql/${major}/server`, 'regress.c', '-o', path.join(lib, 'regress.so')], place).catch(() => undefined);
}
