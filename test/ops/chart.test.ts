/**
 * The Helm chart gives what the cluster can start: objects that fit each other, files that the services read, commands with arguments that they know. Rendered by the template engine that is
 * Helm's own, with the functions of Helm that the chart uses; skipped where there is no Go.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { spawnSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { filterFileSchema } from '../../config/cql/filter-file.ts';
import { dualReaderFile, dualWriterFile, indexesFile, loaderFile } from '../../config/cql/service-files.ts';
import { readYaml } from '../../config/read-yaml.ts';
import { scanUsage } from '../../src/main/cql-compare.ts';
import { loadUsage } from '../../src/main/cql-load.ts';
import { proxyUsage } from '../../src/main/cql-proxy.ts';
import { bringGoProgram } from '../drivers/driver-packages.ts';
import { describeUnless } from '../support/tools.ts';

const project = path.resolve(import.meta.dirname, '../..');
const folder = path.join(project, 'config/deploy/scylla-cluster-sync');
const read = (file: string): string => fs.readFileSync(path.join(folder, file), 'utf8');
const brought = await bringGoProgram('render-chart', path.join(import.meta.dirname, 'render-chart'));

type Values = Readonly<Record<string, unknown>>;

interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly labels: Readonly<Record<string, string>> };
  readonly data?: Readonly<Record<string, string>>;
  readonly spec: {
    readonly selector: Readonly<Record<string, unknown>>;
    readonly ports: readonly { readonly name: string; readonly port: number; readonly targetPort: string }[];
    readonly template: { readonly metadata: { readonly labels: Readonly<Record<string, string>>; readonly annotations: Readonly<Record<string, string>> }; readonly spec: { readonly containers: readonly [Container]; readonly volumes: readonly { readonly name: string; readonly configMap: { readonly name: string } }[] } };
    readonly target: { readonly name: string };
    readonly volumeClaimTemplates: readonly { readonly metadata: { readonly name: string } }[];
  };
}

interface Container {
  readonly image: string;
  readonly args: readonly string[];
  readonly ports: readonly { readonly name: string; readonly containerPort: number }[];
  readonly env?: readonly { readonly name: string; readonly valueFrom: { readonly secretKeyRef: { readonly name: string } } }[];
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
}

/** As `helm -f` and `--set` do: maps are merged, all else is replaced. */
function merged(base: Values, over: Values): Values {
  const isMap = (value: unknown): value is Values => typeof value === 'object' && value !== null && !Array.isArray(value);
  const changed = Object.entries(over).map(([key, value]) => [key, isMap(value) && isMap(base[key]) ? merged(base[key], value) : value] as const);
  return { ...base, ...Object.fromEntries(changed) };
}

const least = { image: { repository: 'registry.example/causeway' }, source: { hosts: ['cassandra-0', 'cassandra-1'], keyspace: 'production' }, target: { hosts: ['10.100.0.10'], keyspace: 'production' } };

function rendered(over: Values = {}, files: readonly string[] = []): { readonly objects: readonly Manifest[]; readonly error: string } {
  const templates = Object.fromEntries(fs.readdirSync(path.join(folder, 'templates')).map((name) => [name, read(`templates/${name}`)]));
  const values = [...files.map((file) => parse(read(file)) as Values), least, over].reduce(merged, parse(read('values.yaml')) as Values);
  const { name, appVersion } = parse(read('Chart.yaml')) as { name: string; appVersion: string };
  const program = 'path' in brought ? path.join(brought.path, 'program') : '';
  const { stdout, stderr } = spawnSync(program, { input: JSON.stringify({ templates, values, chart: { Name: name, AppVersion: appVersion }, release: { Name: 'migration' } }), encoding: 'utf8' });
  const documents = parseAllDocuments(stdout);
  if (stderr === '') for (const document of documents) if (document.errors.length > 0) throw new Error(`${String(document.errors)}\n${stdout}`);
  return { objects: stderr === '' ? documents.map((document) => document.toJS() as Manifest | null).filter((object) => object !== null) : [], error: stderr };
}

function named(objects: readonly Manifest[], kind: string, name: string): Manifest {
  const found = objects.filter((object) => object.kind === kind && object.metadata.name === name);
  expect(found, `${kind} ${name}`).toHaveLength(1);
  return found[0] as Manifest;
}

const components = ['dual-reader', 'dual-writer', 'sstable-loader'];
const containerOf = (objects: readonly Manifest[], name: string): Container => named(objects, 'StatefulSet', name).spec.template.spec.containers[0];
const origin = { name: 'rendered', directory: '/', environment: { SOURCE_USERNAME: 'a', SOURCE_PASSWORD: 'b', TARGET_USERNAME: 'c', TARGET_PASSWORD: 'd' } };
const fileOf = (objects: readonly Manifest[], map: string, file: string): string => named(objects, 'ConfigMap', map).data?.[file] ?? '';

describeUnless('missing' in brought ? brought.missing : undefined, 'the chart', () => {
  const everything = {
    dualWriter: { writer: { mode: 'DualAsync' }, filterRules: { filters: { tenant_blacklist: ['t1'] } } }, dualReader: { reconcile: 'source-wins', autoStart: true, reader: { batch_size: 500 }, filter: { enabled: false } },
    sstableLoader: { autoStart: true, skipIndexes: false, loader: { tables: ['users'] }, indexes: [{ keyspace: 'k', table: 't', index_name: 'i', column_name: 'c' }] }, serviceMonitor: { enabled: true }, networkPolicy: { enabled: true, operatorLabels: { team: 'db' } },
  };

  test.each([['as it comes', {}, []], ['for production', {}, ['values-production.yaml']], ['with everything', everything, []]] as const)('%s: what belongs together fits', (_name, over, files) => {
    const { objects, error } = rendered(over, files);
    expect(error).toBe('');
    expect(new Set(objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`)).size).toBe(objects.length);
    expect(objects.filter(({ kind }) => kind === 'StatefulSet').map(({ metadata }) => metadata.name).toSorted()).toEqual(components);
    const secrets = objects.filter(({ kind }) => kind === 'Secret' || kind === 'ExternalSecret').map(({ metadata }) => metadata.name);
    for (const name of components) {
      const { spec } = named(objects, 'StatefulSet', name);
      const service = named(objects, 'Service', name);
      expect(spec.template.metadata.labels).toMatchObject(service.spec.selector);
      expect(spec.selector['matchLabels']).toEqual(spec.template.metadata.labels);
      expect(spec.template.metadata.labels['app.kubernetes.io/component']).toBe(name);
      const { ports, volumeMounts, env = [], image } = containerOf(objects, name);
      expect(service.spec.ports.map(({ port, targetPort }) => [targetPort, port]).toSorted()).toEqual(ports.map((port) => [port.name, port.containerPort]).toSorted());
      expect(image).toBe('registry.example/causeway:0.1.0');
      const volumes = [...spec.template.spec.volumes.map((volume) => volume.name), ...spec.volumeClaimTemplates.map(({ metadata }) => metadata.name)];
      expect(volumeMounts.map((mount) => mount.name).toSorted()).toEqual(volumes.toSorted());
      for (const { configMap } of spec.template.spec.volumes) named(objects, 'ConfigMap', configMap.name);
      for (const { valueFrom } of env) expect(secrets).toContain(valueFrom.secretKeyRef.name);
    }
  });

  test('the files are those that the services read, and the clusters are in them', () => {
    for (const { objects } of [rendered(), rendered(everything), rendered({}, ['values-production.yaml'])]) {
      const clusters = { source: { hosts: ['cassandra-0', 'cassandra-1'], driver: 'cassandra', keyspace: 'production' }, target: { hosts: ['10.100.0.10'], driver: 'scylla' } };
      expect(readYaml(fileOf(objects, 'dual-writer', 'dual-writer.yaml'), dualWriterFile, origin)).toMatchObject(clusters);
      expect(readYaml(fileOf(objects, 'dual-reader', 'dual-reader.yaml'), dualReaderFile, origin)).toMatchObject(clusters);
      expect(readYaml(fileOf(objects, 'sstable-loader', 'sstable-loader.yaml'), loaderFile, origin)).toMatchObject({ ...clusters, loader: { failed_rows_file: '/var/lib/causeway/failed_rows.jsonl' } });
      readYaml(fileOf(objects, 'sstable-loader', 'indexes.yaml'), indexesFile, origin);
    }
    const { objects } = rendered(everything);
    expect(readYaml(fileOf(objects, 'dual-writer', 'dual-writer.yaml'), dualWriterFile, origin).writer.mode).toBe('DualAsync');
    expect(readYaml(fileOf(objects, 'dual-writer-filter', 'filter-rules.yaml'), filterFileSchema, origin).filters.tenant_blacklist).toEqual(['t1']);
    expect(readYaml(fileOf(rendered({}, ['values-production.yaml']).objects, 'dual-writer', 'dual-writer.yaml'), dualWriterFile, origin)).toMatchObject({ source: { username: 'a', password: 'b' }, target: { username: 'c' } });
  });

  test('the commands know their arguments, and the files that these name are mounted', () => {
    const { objects } = rendered(everything);
    const usages = { 'dual-writer': proxyUsage, 'dual-reader': scanUsage, 'sstable-loader': loadUsage };
    for (const [name, usage] of Object.entries(usages)) {
      const { args, volumeMounts, ports } = containerOf(objects, name);
      for (const flag of args.filter((arg) => arg.startsWith('--'))) expect(usage).toMatch(new RegExp(`^ *${flag}\\b`, 'm'));
      for (const file of args.filter((arg) => arg.startsWith('/'))) expect(volumeMounts.some(({ mountPath }) => file.startsWith(mountPath))).toBe(true);
      for (const file of args.filter((arg) => arg.endsWith('.yaml'))) expect(fileOf(objects, file.includes('filter') ? 'dual-writer-filter' : name, path.basename(file))).not.toBe('');
      const port = args[args.indexOf('--http-port') + 1];
      if (args.includes('--http-port')) expect(ports).toEqual([{ name: 'http', containerPort: Number(port) }]);
    }
    expect(containerOf(objects, 'dual-reader').args).toEqual(expect.arrayContaining(['scan', '--reconcile', 'source-wins', '--auto-start', '--proxy', 'http://dual-writer:8080']));
    expect(containerOf(rendered().objects, 'sstable-loader').args).not.toContain('--auto-start');
  });

  describe('values', () => {
    const kinds = (over: Values): readonly string[] => rendered(over).objects.filter(({ kind }) => kind === 'StatefulSet').map(({ metadata }) => metadata.name).toSorted();

    test('of each component', () => {
      expect(kinds({ sstableLoader: { enabled: false } })).toEqual(['dual-reader', 'dual-writer']);
      expect(kinds({ dualReader: { enabled: false }, sstableLoader: { enabled: false } })).toEqual(['dual-writer']);
      const alone = rendered({ dualWriter: { enabled: false }, dualReader: { enabled: false } }).objects;
      expect(alone.filter(({ metadata }) => metadata.name !== 'sstable-loader')).toEqual([]);
      expect(containerOf(alone, 'sstable-loader').args).not.toContain('--proxy');
    });

    test('a change of a file starts its component again, and one of the filter rules none', () => {
      const sum = (over: Values): string | undefined => named(rendered(over).objects, 'StatefulSet', 'dual-writer').spec.template.metadata.annotations['causeway/config'];
      expect(sum({ dualWriter: { writer: { shadow_timeout_ms: 5 } } })).not.toBe(sum({}));
      expect(sum(everything)).toBe(sum({ dualWriter: { ...everything.dualWriter, filterRules: { filters: {} } } }));
    });

    test.each([
      [{ image: { repository: '' } }, /image\.repository: expected/], [{ source: { hosts: [] } }, /source\.hosts: expected at least one host/], [{ dualWriter: { replicas: 3 } }, /dualWriter\.replicas: only 1/],
    ])('%j is refused', (over, message) => expect(rendered(over).error).toMatch(message));
  });
});

test('the image has what the commands need', () => {
  const dockerfile = fs.readFileSync(path.join(folder, '../Dockerfile'), 'utf8');
  const copied = [...dockerfile.matchAll(/^COPY (.+) \S+$/gm)].flatMap(([, names = '']) => names.split(' '));
  for (const name of copied) expect(fs.existsSync(path.join(project, name)), name).toBe(true);
  // Every room of the product that is no test and no page.
  expect(copied).toEqual(expect.arrayContaining(['catalog', 'cdc', 'config', 'grammar', 'src']));
  const [entry = ''] = /(?<=^ENTRYPOINT ).*$/m.exec(dockerfile) ?? [];
  const [program, file = '', command] = JSON.parse(entry) as string[];
  expect([program, fs.existsSync(path.join(project, file)), command]).toEqual(['node', true, 'cql-proxy']);
});
