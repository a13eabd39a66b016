/**
 * Rules, scrape configuration, dashboard and unit name only what exists: metrics, labels and label values of the closed list,
 * paths that the HTTP port serves, files of the project. An expression that can never be true is as bad as none.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { tableStates } from '../../catalog/table-state.ts';
import { cqlMetricList } from '../../config/cql/metric-list.ts';
import { isMetricName, metricList } from '../../config/metric-list.ts';
import type { MetricDefinition } from '../../config/metric-list.ts';

const project = path.resolve(import.meta.dirname, '../..');
const folder = path.join(project, 'config/deploy');
const read = (file: string): string => fs.readFileSync(path.join(folder, file), 'utf8');

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string; readonly description: string };
}

const groups = (parse(read('prometheus-rules.yaml')) as { groups: { name: string; rules: Rule[] }[] }).groups;
const rules = groups.flatMap((group) => group.rules);
interface Panel {
  readonly id: number;
  readonly title: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[];
}

const dashboards = ['grafana-dashboard.json', 'grafana-cql-dashboard.json'];
const panelsOf = (file: string): readonly Panel[] => (JSON.parse(read(file)) as { panels: Panel[] }).panels;

/** What every scraped series has besides its own labels. */
const scraped = ['job', 'instance'];

interface Selector {
  readonly text: string;
  readonly labels: readonly string[];
}

/** Of the gateway and of the CQL suite. */
const known: Readonly<Record<string, MetricDefinition>> = { ...metricList, ...cqlMetricList };

/** `up` is Prometheus' own. */
function selectors(expr: string): Selector[] {
  return [...expr.matchAll(/\b((?:scratchbird|proxy|loader|validator|origin|target|client|pscache)_\w+|up)\b(?:\{([^}]*)\})?/g)].map(([text, name = '', matchers = '']) => {
    const base = name.replace(/_(bucket|sum|count)$/, '');
    const metric = known[name] ? name : known[base]?.type === 'histogram' ? base : undefined;
    if (metric === undefined && name !== 'up') throw new Error(`no metric ${name}`);
    const labels = [...scraped, ...(metric === undefined ? [] : known[metric]?.labels ?? []), ...(name.endsWith('_bucket') ? ['le'] : [])];
    for (const [, label = '', operator, value = ''] of matchers.matchAll(/(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"/g)) {
      if (!labels.includes(label)) throw new Error(`${name} has no label ${label}`);
      if (metric !== undefined && operator === '=' && !knownValue(metric, label, value)) throw new Error(`${name}{${label}="${value}"} does not exist`);
    }
    return { text, labels };
  });
}

function knownValue(metric: string, label: string, value: string): boolean {
  if (metric === 'scratchbird_migration_table_state' && label === 'state') return tableStates.some((state) => state.toLowerCase() === value);
  return known[metric]?.help.includes(value) ?? false;
}

/** Labels that the result has: those of the outermost aggregation, else of the first selector. */
function resultLabels(expr: string): readonly string[] {
  const all = selectors(expr);
  const aggregations = [...expr.matchAll(/\bby \(([^)]*)\)/g)].map(([, list = '']) => list.split(',').map((label) => label.trim()));
  for (const label of [...aggregations.flat(), ...[...expr.matchAll(/\bon \(([^)]*)\)/g)].flatMap(([, list = '']) => list.split(',').map((one) => one.trim()))]) {
    if (!all.every(({ labels }) => labels.includes(label))) throw new Error(`not everything in ${expr} has the label ${label}`);
  }
  return aggregations[0] ?? all[0]?.labels ?? [];
}

describe('alert rules', () => {
  test.each(rules.map((rule) => [rule.alert, rule] as const))('%s', (_name, rule) => {
    const labels = resultLabels(rule.expr);
    for (const [, label = ''] of JSON.stringify(rule.annotations).matchAll(/\$labels\.(\w+)/g)) expect(labels).toContain(label);
    expect(['warning', 'critical']).toContain(rule.labels.severity);
    expect(rule.annotations.description).not.toBe('');
    expect(rule.for ?? '1m').toMatch(/^\d+[smh]$/);
  });

  test('`and` compares the same labels on both sides, or says which', () => {
    for (const { expr } of rules.filter((rule) => / and (?!on )/.test(rule.expr.replace(/\s+/g, ' ')))) {
      const [first, ...others] = selectors(expr).map(({ labels }) => labels.toSorted().join());
      for (const other of others) expect(other).toBe(first);
    }
  });

  test('those of specification §9.2 are there, with their thresholds', () => {
    const specified = [
      ['MigrationCDCLagHigh', 'scratchbird_migration_cdc_lag_seconds > 60', '5m', 'warning', 'CDC lag > 60s for {{ $labels.table }}'],
      ['MigrationCDCLagCritical', 'scratchbird_migration_cdc_lag_seconds > 300', '5m', 'critical', 'CDC lag > 5 minutes for {{ $labels.table }}'],
      ['MigrationBulkLoadStalled', 'rate(scratchbird_migration_bulk_rows_migrated[5m]) == 0 and on (job, instance, table) scratchbird_migration_table_state{state="bulk_loading"} == 1', '10m', 'warning', 'Bulk load stalled for {{ $labels.table }}'],
      ['MigrationConflictsHigh', 'rate(scratchbird_migration_conflicts_total[1h]) > 10', '15m', 'warning', 'High conflict rate for {{ $labels.table }}'],
      ['MigrationInErrorState', 'scratchbird_migration_table_state{state="error"} == 1', '1m', 'critical', 'Migration in error state for {{ $labels.table }}'],
    ];
    expect(groups[0]?.name).toBe('scratchbird_migration');
    expect(groups[0]?.rules.map((rule) => [rule.alert, rule.expr.trim().replace(/\s+/g, ' '), rule.for, rule.labels.severity, rule.annotations.summary])).toEqual(specified);
  });

  test('names are unique', () => {
    expect(new Set(rules.map(({ alert }) => alert)).size).toBe(rules.length);
  });

  test.runIf(spawnSync('promtool', ['--version']).status === 0)('promtool accepts them', () => {
    execFileSync('promtool', ['check', 'rules', path.join(folder, 'prometheus-rules.yaml')]);
  });

  test('this check can fail', () => {
    expect(() => selectors('scratchbird_migration_lag > 1')).toThrow('no metric');
    expect(() => selectors('scratchbird_migration_bulk_rate{state="x"}')).toThrow('no label');
    expect(() => selectors('scratchbird_migration_table_state{state="bulk_load"}')).toThrow('does not exist');
    expect(() => selectors('scratchbird_gateway_connections_bucket')).toThrow('no metric');
    expect(() => resultLabels('sum by (table) (scratchbird_gateway_parked)')).toThrow('label table');
  });
});

describe.each(dashboards)('%s', (file) => {
  const panels = panelsOf(file);
  test.each(panels.flatMap(({ title, targets = [] }) => targets.map(({ expr, legendFormat }) => [title, expr, legendFormat] as const)))('%s: %s', (_title, expr, legend) => {
    const labels = resultLabels(expr);
    for (const [, label = ''] of legend.matchAll(/\{\{(\w+)\}\}/g)) expect(labels).toContain(label);
  });

  test('panels do not overlap and have ids of their own', () => {
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) => Array.from({ length: w * h }, (_, i) => `${x + (i % w)},${y + Math.floor(i / w)}`));
    expect(new Set(cells).size).toBe(cells.length);
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    for (const { gridPos } of panels) expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24);
  });
});

test('the dashboard of the CQL suite shows what each of its alerts is about', () => {
  const shown = panelsOf('grafana-cql-dashboard.json').flatMap(({ targets = [] }) => targets.map(({ expr }) => expr)).join('\n');
  for (const { expr } of rules.filter(({ alert }) => alert.startsWith('Cql'))) for (const { text } of selectors(expr)) expect(shown).toContain(text.replace(/\{.*/, ''));
});

test('the scrape configuration asks for what the port serves, and loads the rules', () => {
  const { scrape_configs: jobs, rule_files: files } = parse(read('prometheus-scrape.yaml')) as { scrape_configs: { job_name: string; metrics_path: string }[]; rule_files: string[] };
  expect(jobs.map(({ job_name, metrics_path }) => [job_name, metrics_path])).toEqual([['causeway', '/metrics'], ['causeway_cql', '/metrics']]);
  for (const file of files) expect(fs.existsSync(path.join(folder, file))).toBe(true);
});

test('every metric that the code counts is in the list, with its labels', () => {
  const calls = ['src', 'cdc', 'catalog'].flatMap((top) => sources(path.join(project, top))).flatMap((file) =>
    [...fs.readFileSync(file, 'utf8').matchAll(/\.(count|gauge|observe|observer)\(\s*'(scratchbird_\w+)',\s*\{([^}]*)\}/g)].map(([, verb = '', name = '', labels = '']) => ({ file, verb, name, labels })));
  const verbs = { counter: 'count', gauge: 'gauge', histogram: 'observe' };
  for (const { file, verb, name, labels } of calls) {
    expect(isMetricName(name), `${name} in ${file}`).toBe(true);
    if (!isMetricName(name)) continue;
    expect(verb === 'observer' ? 'observe' : verb, `${name} in ${file}`).toBe(verbs[metricList[name].type]);
    if (!labels.includes('...')) expect(labels.split(',').map((label) => label.split(':')[0]?.trim() ?? '').filter((label) => label !== '').toSorted(), `${name} in ${file}`).toEqual(metricList[name].labels.toSorted());
  }
});

test('every metric of the list is set somewhere, by its own name', () => {
  const code = ['src', 'cdc', 'catalog'].flatMap((top) => sources(path.join(project, top))).map((file) => fs.readFileSync(file, 'utf8')).join('\n');
  const set = new Set([...code.matchAll(/\b(?:count|gauge|observe|observer)\(\s*'(scratchbird_\w+)'/g)].map(([, name]) => name));
  expect(Object.keys(metricList).filter((name) => !set.has(name))).toEqual([]);
});

function sources(directory: string): string[] {
  return fs.readdirSync(directory, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts')).map((file) => path.join(directory, file));
}
