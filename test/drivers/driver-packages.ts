/**
 * Third-party drivers, with the tests that their packages carry: fetched from their registries by the registries' own clients, in the versions named by
 * the caller, into `.causeway/drivers/`. What cannot be had is said as a reason, so that its suite is skipped by name.
 */
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { findTool } from '../support/tools.ts';
import { runProgram } from './run-program.ts';

/** The place of what was asked for, or why there is none. */
export type Brought = { readonly path: string } | { readonly missing: string };

const folder = path.resolve(import.meta.dirname, '../../.causeway/drivers');
const FETCH_LIMIT_MS = 240_000;

export interface PythonPackage {
  /** As pip names it; `==` version. */
  readonly package: string;
  /** What it is used with. */
  readonly needs: readonly string[];
  /** Of those, what the registry has as sources only. */
  readonly fromSources?: readonly string[];
  /** True when its source package carries a folder `tests`. */
  readonly hasTests: boolean;
}

/** A folder with `bin/python`, a virtual environment that has the package, and with the `tests/` of its source package. */
export function bringPython(wanted: PythonPackage): Promise<Brought> {
  const name = wanted.package.replace('==', '-');
  return bring(name, [wanted.package, ...wanted.needs].join(' '), async (place) => {
    const python = findTool('python3');
    if (python === undefined) return 'python3 is not installed';
    const pip = ['-m', 'pip', '--disable-pip-version-check', '--quiet'];
    const source = path.join(place, 'source');
    const virtual = path.join(place, 'bin', 'python');
    const missing = await failed(python, ['-m', 'venv', place])
      ?? await failed(virtual, [...pip, 'install', '--only-binary', ':all:', ...(wanted.fromSources ?? []).flatMap((each) => ['--no-binary', each]), wanted.package, ...wanted.needs]);
    if (missing !== undefined || !wanted.hasTests) return missing;
    return await failed(virtual, [...pip, 'download', '--no-deps', '--no-binary', wanted.package.split('==')[0] ?? '', '--dest', source, wanted.package])
      ?? await failed('tar', ['xzf', path.join(source, fs.readdirSync(source)[0] ?? ''), '-C', place, '--strip-components=1', '--wildcards', '*/tests']);
  });
}

/** A folder with the module's own files, tests included, that may be written. */
export function bringGoModule(module: string, version: string): Promise<Brought> {
  return bring(`go-${module.replaceAll('/', '-')}-${version}`, `${module}@${version}`, async (place) => {
    const go = findTool('go');
    if (go === undefined) return 'go is not installed';
    fs.mkdirSync(place, { recursive: true });
    const found = await runProgram(go, ['mod', 'download', '-json', `${module}@${version}`], { cwd: place, limitMs: FETCH_LIMIT_MS });
    const answer = JSON.parse(found.output === '' ? '{}' : found.output) as { Dir?: string; Error?: string };
    if (answer.Dir === undefined) return `${module}@${version} cannot be had: ${answer.Error ?? lastLine(found.errors)}`;
    // Modules are kept read-only.
    return await failed('cp', ['-r', `${answer.Dir}/.`, place]) ?? await failed('chmod', ['-R', 'u+w', place]);
  });
}

/** A folder with `program`, built of the module in `sources`, whose `go.sum` has the checksums of what it needs. */
export function bringGoProgram(name: string, sources: string): Promise<Brought> {
  const contents = ['main.go', 'go.mod', 'go.sum'].map((file) => fs.readFileSync(path.join(sources, file), 'utf8')).join('\n');
  return bring(name, createHash('sha256').update(contents).digest('hex'), async (place) => {
    const go = findTool('go');
    if (go === undefined) return 'go is not installed';
    return failed(go, ['build', '-o', path.join(place, 'program'), '.'], sources);
  });
}

/** A folder that holds the jar, named `<artifact>-<version>.jar`. */
export function bringJar(group: string, artifact: string, version: string): Promise<Brought> {
  return bring(`java-${artifact}-${version}`, `${group}:${artifact}:${version}`, async (place) => {
    const maven = findTool('mvn');
    if (maven === undefined) return 'mvn is not installed';
    if (findTool('java') === undefined) return 'java is not installed';
    return failed(maven, ['--batch-mode', '--quiet', 'dependency:copy', `-Dartifact=${group}:${artifact}:${version}`, `-DoutputDirectory=${place}`]);
  });
}

/** A folder with the jars of a `pom.xml`, of which each must have its sum in the `sha256sums` beside it. */
export function bringJars(name: string, sources: string): Promise<Brought> {
  const sums = fs.readFileSync(path.join(sources, 'sha256sums'), 'utf8');
  return bring(name, sums, async (place) => {
    const maven = findTool('mvn');
    if (maven === undefined) return 'mvn is not installed';
    if (findTool('java') === undefined) return 'java is not installed';
    const missing = await failed(maven, ['--batch-mode', '--quiet', '-f', path.join(sources, 'pom.xml'), 'dependency:copy-dependencies', '-DincludeScope=runtime', `-DoutputDirectory=${place}`]);
    if (missing !== undefined) return missing;
    const found = fs.readdirSync(place).map((jar) => `${createHash('sha256').update(fs.readFileSync(path.join(place, jar))).digest('hex')}  ${jar}`);
    return found.sort().join() === sums.trim().split('\n').sort().join() ? undefined : `the jars of ${name} are not those of sha256sums`;
  });
}

/** Fetches into a folder of its own unless it is there; the stamp is written last, so that half a folder is made anew. */
export async function bring(name: string, contents: string, fetch: (place: string) => Promise<string | undefined>): Promise<Brought> {
  const place = path.join(folder, name);
  const stamp = path.join(place, '.complete');
  if (fs.existsSync(stamp) && fs.readFileSync(stamp, 'utf8') === contents) return { path: place };
  fs.rmSync(place, { recursive: true, force: true });
  fs.mkdirSync(folder, { recursive: true });
  const missing = await fetch(place);
  if (missing !== undefined) return { missing };
  fs.writeFileSync(stamp, contents);
  return { path: place };
}

/** Why the program did not do it; undefined when it did. */
export async function failed(program: string, args: readonly string[], cwd = folder): Promise<string | undefined> {
  const { code, errors, output } = await runProgram(program, args, { cwd, limitMs: FETCH_LIMIT_MS });
  return code === 0 ? undefined : `${path.basename(program)} ended with ${code ?? 'a signal'}: ${lastLine(errors === '' ? output : errors)}`;
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1) ?? '';
}
