/** A settings file is either understood whole or refused with place, path and expectation of every mistake; secrets never show. */
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { describe, expect, test } from 'vitest';
import { applyOverrides, readCommandLine } from '../../config/command-line.ts';
import { defaultSettings, loadSettings, parseSettings, SettingsError } from '../../config/load.ts';
import type { ServerAddress } from '../../cdc/postgres/server-address.ts';
import type { Settings } from '../../config/settings.ts';
import { settingsSchema } from '../../config/settings.ts';

const example = new URL('../../config/causeway.example.yaml', import.meta.url);
const minimal = `
source: {host: legacy, database: shop, user: u}
users: [{name: app, trust_from: [127.0.0.1/32]}]
`;

function parse(yaml: string, environment: Record<string, string> = {}, directory = '/nowhere'): Settings {
  return parseSettings(yaml, { name: 'c.yaml', directory, environment });
}

function problems(yaml: string, environment: Record<string, string> = {}): readonly string[] {
  try {
    parse(yaml, environment);
  } catch (error) {
    if (error instanceof SettingsError) return error.problems;
    throw error;
  }
  throw new Error('the settings were accepted');
}

const pem = '-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n';

describe('settings', () => {
  test('defaults are filled in, names become camelCase, paths become absolute', () => {
    const settings = parse(minimal, {}, '/etc/causeway');
    expect(settings).toMatchObject({
      listen: { host: '127.0.0.1', port: 7432 }, http: { port: 8080 }, stateDirectory: '/etc/causeway/.causeway/state',
      source: { kind: 'server', host: 'legacy', port: 5432 }, local: { kind: 'embedded', port: 7434 },
      migration: { maxConcurrentMigrations: 10, cdcMaxLagSeconds: 60, defaultConflictStrategy: 'source_wins' },
    });
    expect(defaultSettings('/here')).toMatchObject({ source: { kind: 'embedded', sample: true }, stateDirectory: '/here/.causeway/state' });
  });

  test('a side that is a server is an address as it stands', () => {
    const { source } = parse(`${minimal.replace('user: u', "user: u, password: '1', ssl: {mode: require}")}`);
    if (source.kind !== 'server') throw new Error('expected a server');
    const address: ServerAddress = source;
    expect(address).toEqual({ kind: 'server', host: 'legacy', port: 5432, database: 'shop', user: 'u', password: '1', ssl: { mode: 'require' } });
  });

  test.each([
    ['a port that is no port', 'listen: {port: 70000}', 'c.yaml:4:16: listen.port: '],
    ['a text for a number', 'migration:\n  max_retries: three', 'c.yaml:5:16: migration.max_retries: expected number'],
    ['an unknown strategy', 'migration: {default_conflict_strategy: best}', 'c.yaml:4:40: migration.default_conflict_strategy: expected one of "source_wins"'],
    ['a misspelt section', 'limit: {}', 'c.yaml:4:1: limit: unknown setting; did you mean "limits"?'],
    ['a misspelt key', 'limits: {max_connection: 3}', 'c.yaml:4:10: limits.max_connection: unknown setting; did you mean "max_connections"?'],
    ['half a server', 'local: {host: x, database: d}', 'c.yaml:4:8: local.user: is missing: expected string'],
    ['a certificate that is a path', 'tls: {cert: server.pem, key: server.key}', 'c.yaml:4:13: tls.cert: expected PEM text'],
    ['a short key', 'credential_key: abcd', 'c.yaml:4:17: credential_key: expected 32 bytes in base64'],
    ['YAML that is none', 'log: [', 'c.yaml:'],
    ['the same key twice', 'http: {port: 1}\nhttp: {port: 2}', 'c.yaml:5:1: Map keys must be unique'],
  ])('%s is refused at its place', (_, yaml, expected) => {
    expect(problems(`${minimal}${yaml}\n`).join('\n')).toContain(expected);
  });

  test('users need one way to log in and names of their own', () => {
    const found = problems(`
source: {host: legacy, database: shop, user: u}
users:
  - {name: a}
  - {name: b, verifier: secret}
  - {name: c, trust_from: [localhost]}
  - {name: d, password: x, trust_from: []}
  - {name: e, password: x, certificate: verify-ca, certificate_names: [f]}
`).join('\n');
    for (const part of [':4:5: users.0: expected a way to log in', ':5:25: users.1.verifier: expected a SCRAM', ':6:28: users.2.trust_from.0: expected an IP', ':8:71: users.4.certificate_names: expected certificate: login or verify-full']) expect(found).toContain(part);
    expect(problems(`source: {host: l, database: s, user: u}\nusers: [{name: d, password: x}, {name: d, password: y}]\n`).join('\n')).toContain('user "d" is listed twice');
    expect(problems(`source: {host: l, database: s, user: u}\nusers: [{name: d, certificate: login, local: {user: d, cert: "${pem.replaceAll("\n", "\\n")}", key: "${pem.replaceAll("\n", "\\n")}"}}]\n`)).toEqual([
      'c.yaml:2:32: users.0.certificate: expected tls.ca as well: who may have signed it', expect.stringContaining('users.0.local.cert: expected local.ssl as well'),
    ]);
  });

  test('all mistakes are reported at once', () => {
    expect(problems(`${minimal}http: {port: 0}\nworkers: -1\nlease: 5\n`)).toHaveLength(3);
    expect(problems('users: [{name: app}]\nbad: 1\nsource: {host: 1}\nhttp: {port: 0}\n').map((problem) => problem.split(':')[1])).toEqual(['1', '2', '3', '3', '3', '4']);
  });

  test('secrets come from the environment and from files; what is missing is named without being shown', () => {
    const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'causeway-config-'));
    fs.writeFileSync(path.join(directory, 'password'), 'from file\n');
    const yaml = `
source: {host: '\${ENV:HOST}', port: '\${ENV:PORT}', database: shop, user: u, password: '\${ENV:SECRET}'}
users: [{name: app, password: {file: password}}]
`;
    const settings = parse(yaml, { HOST: 'h', PORT: '6000', SECRET: '0042' }, directory);
    expect(settings.source).toMatchObject({ host: 'h', port: 6000, password: '0042' });
    expect(settings.users[0]?.password).toBe('from file');
    fs.rmSync(directory, { recursive: true });
    const missing = problems(yaml, { HOST: 'h', SECRET: 'do not show' }).join('\n');
    expect(missing).toContain('c.yaml:2:37: port: environment variable PORT is not set');
    expect(missing).toContain('password.file: cannot be read: ENOENT');
    expect(missing).not.toContain('do not show');
  });

  test('a file that is not there is an error that names it', () => {
    expect(() => loadSettings('/nowhere/c.yaml', {})).toThrow('/nowhere/c.yaml: cannot be read: ENOENT');
  });
});

describe('the example', () => {
  const yaml = fs.readFileSync(example, 'utf8');
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'causeway-example-'));
  for (const file of ['legacy-ca.pem', 'server.pem', 'server-key.pem']) fs.writeFileSync(path.join(directory, file), pem);
  for (const file of ['operator-password', 'local-password', 'client.pem', 'client-key.pem']) fs.writeFileSync(path.join(directory, file), pem);
  const environment = {
    CAUSEWAY_SOURCE_PASSWORD: 'x', CAUSEWAY_APP_PASSWORD: 'y', CAUSEWAY_CREDENTIAL_KEY: Buffer.alloc(32).toString('base64'),
    CAUSEWAY_APP_VERIFIER: 'SCRAM-SHA-256$4096:c2FsdA==$c3RvcmVk:c2VydmVy',
  };
  const resolved = yaml.replaceAll("'${ENV:", '${ENV:').replaceAll("}'", '}').replaceAll(/(\$\{ENV:\w+\})/g, "'$1'");

  test('is valid as it stands', () => {
    expect(parse(yaml, environment, directory)).toMatchObject({ source: { host: 'legacy.example.com' }, users: [{ name: 'app' }, { name: 'operator', operator: true }] });
  });

  test('says the true default behind every commented key', () => {
    const uncommented = resolved
      .replaceAll(/^# (migration|shadow_reads|timeouts|log):$/gm, '$1:')
      .replaceAll(/^(\s*)# ([a-z_]+): (?!embedded|true, )([^#\n]*?)\s*(#.*)?$/gm, (line, indent: string, key: string, value: string) => (isKey(key) ? `${indent}${key}: ${value}` : line));
    const settings = parse(uncommented, environment, directory);
    const defaults = parse(minimal, {}, directory);
    expect(settings.migration).toEqual(defaults.migration);
    expect(settings.timeouts).toEqual(defaults.timeouts);
    expect(settings.log).toEqual(defaults.log);
    expect(settings.shadowReads).toEqual(defaults.shadowReads);
    expect({ ...settings.limits, spoolBytes: 0 }).toEqual({ ...defaults.limits, spoolBytes: 0 });
    expect({ workers: settings.workers, leaseMs: settings.leaseMs }).toEqual({ workers: defaults.workers, leaseMs: defaults.leaseMs });
  });

  test('names every key that there is', () => {
    const defaults = parse(minimal);
    const names = [...Object.keys(defaults), ...[defaults.migration, defaults.limits, defaults.shadowReads, defaults.timeouts, defaults.log].flatMap((section) => Object.keys(section)), 'tls', 'credentialKey'];
    for (const name of names) expect(yaml).toMatch(new RegExp(`(^|[\\s#])${name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)}:`, 'm'));
  });
});

/** A key of the schema, and not a word of a comment that ends in a colon. */
function isKey(key: string): boolean {
  const settings = settingsSchema.parse({ source: { kind: 'embedded', port: 1 }, users: [{ name: 'a', password: 'a' }] });
  const camel = key.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
  return [settings, settings.migration, settings.limits, settings.shadowReads, settings.timeouts, settings.log].some((section) => camel in section);
}

describe('command line', () => {
  test('options win over the file', () => {
    const line = readCommandLine(['--traffic', '--port', '9000', '--local-port', '9002', '--state-directory', '/x']);
    expect(line).toMatchObject({ traffic: true, configFile: undefined, help: false });
    expect(applyOverrides(defaultSettings('/here'), line.overrides)).toMatchObject({ listen: { port: 9000 }, local: { port: 9002 }, source: { port: 7433 }, stateDirectory: '/x' });
  });

  test('a wrong option or value is named', () => {
    expect(() => readCommandLine(['--prot', '1'])).toThrow('--prot');
    expect(() => readCommandLine(['--http-port', 'x'])).toThrow('--http-port: expected a number from 1 to 65535, not "x"');
    expect(() => applyOverrides(parse(minimal), { sourcePort: 3 })).toThrow('not embedded');
  });
});
