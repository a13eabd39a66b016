/**
 * Metrics of the closed list (`config/metric-list.ts`), kept as plain numbers and shown in Prometheus' text format.
 *
 * Gateway workers send what changed since the last time (`exportDelta`) to the control process as plain JSON; the control adds
 * it to its own (`absorb`). Counters and histograms add up for good; a gauge is remembered for each worker and shown as the
 * sum, until the worker is forgotten. The process' own metrics (CPU, heap, event loop) come from prom-client.
 *
 * A cell is found by one string made of the label values, so that counting a statement costs one map lookup.
 */
import { collectDefaultMetrics, Registry } from 'prom-client';

import { metricList } from '../../config/metric-list.ts';
import type { MetricDefinition, MetricName } from '../../config/metric-list.ts';
import type { Labels, MetricSink } from '../../config/runtime.ts';
import { writeFamily } from './prometheus-text.ts';
import type { Cell, Family } from './prometheus-text.ts';

/** Series of one metric; a runaway label must not fill the memory. The samples beyond it are counted and left out. */
export const maxSeriesPerMetric = 20_000;

/** What a worker has counted since its last delta. Plain JSON. `value`: an increase; for gauges the value itself. */
export interface MetricDelta {
  readonly series: readonly SeriesDelta[];
}

export interface SeriesDelta {
  readonly name: string;
  readonly labelValues: readonly string[];
  readonly value: number;
  /** Histograms only: the increase of each bucket. */
  readonly counts?: readonly number[];
  /** The series was removed. */
  readonly removed?: boolean;
}

interface ExportedSeries {
  readonly family: Family;
  readonly labelValues: readonly string[];
  readonly value: number;
  readonly counts: readonly number[] | undefined;
}

interface WorkerGauge {
  readonly name: MetricName;
  readonly labelValues: readonly string[];
  readonly value: number;
}

export class PrometheusMetrics implements MetricSink {
  private readonly families: ReadonlyMap<string, Family>;
  /** As of the last `exportDelta`; keys are those of `cells`. */
  private exported = new Map<string, ExportedSeries>();
  /** Gauges of each worker: worker → series. */
  private readonly workerGauges = new Map<string, Map<string, WorkerGauge>>();
  private readonly processRegistry: Registry | undefined;

  constructor(options: { readonly processMetrics?: boolean } = {}) {
    this.families = new Map(Object.entries(metricList).map(([name, definition]) => [name, { name: name as MetricName, definition, cells: new Map() }]));
    // Counters without labels exist from the start, so that a rate over them has a first value.
    for (const family of this.families.values()) {
      if (family.definition.type === 'counter' && family.definition.labels.length === 0) this.cell(family, {});
    }
    if (options.processMetrics === true) {
      this.processRegistry = new Registry();
      collectDefaultMetrics({ register: this.processRegistry });
    }
  }

  count(name: string, labels: Labels, by = 1): void {
    if (!(by >= 0)) throw new RangeError(`metric ${name}: a counter only grows, not by ${by}`);
    const cell = this.cell(this.family(name, 'counter'), labels);
    if (cell !== undefined) cell.value += by;
  }

  gauge(name: string, labels: Labels, value: number): void {
    const cell = this.cell(this.family(name, 'gauge'), labels);
    if (cell !== undefined) cell.value = value;
  }

  observe(name: string, labels: Labels, value: number): void {
    const family = this.family(name, 'histogram');
    observeIn(this.cell(family, labels), family.definition.buckets, value);
  }

  observer(name: string, labels: Labels): (value: number) => void {
    const family = this.family(name, 'histogram');
    const cell = this.cell(family, labels);
    const { buckets } = family.definition;
    return (value) => observeIn(cell, buckets, value);
  }

  remove(name: string, labels: Labels): void {
    const family = this.family(name);
    const wanted = Object.entries(labels).map(([label, value]) => ({ index: labelIndex(family, label), value }));
    for (const [key, cell] of family.cells) {
      if (!wanted.every(({ index, value }) => cell.labelValues[index] === value)) continue;
      family.cells.delete(key);
      // Made anew it counts from zero. A gauge stays known as sent: its removal has to be sent too.
      if (family.definition.type !== 'gauge') this.exported.delete(seriesKey(family.name, key));
    }
    for (const series of this.workerGauges.values()) {
      for (const [key, entry] of series) {
        if (entry.name === name && wanted.every(({ index, value }) => entry.labelValues[index] === value)) series.delete(key);
      }
    }
  }

  /** The increase since the last call; what did not change is left out. */
  exportDelta(): MetricDelta {
    const series: SeriesDelta[] = [];
    const now = new Map<string, ExportedSeries>();
    for (const family of this.families.values()) {
      for (const [key, cell] of family.cells) {
        const fullKey = seriesKey(family.name, key);
        const before = this.exported.get(fullKey);
        now.set(fullKey, { family, labelValues: cell.labelValues, value: cell.value, counts: cell.counts?.slice() });
        const delta = difference(family, cell, before);
        if (delta !== undefined) series.push(delta);
      }
    }
    for (const [key, { family, labelValues }] of this.exported) {
      if (!now.has(key) && family.definition.type === 'gauge') series.push({ name: family.name, labelValues, value: 0, removed: true });
    }
    this.exported = now;
    return { series };
  }

  /** The next delta holds every gauge again: the process that absorbs them is a new one. */
  exportGaugesAgain(): void {
    for (const [key, { family }] of this.exported) if (family.definition.type === 'gauge') this.exported.delete(key);
  }

  /** Adds a worker's delta. `workerId` is whatever tells the workers apart; a restarted one is another. */
  absorb(delta: MetricDelta, workerId: string): void {
    for (const series of delta.series) {
      const family = this.family(series.name);
      const labels = Object.fromEntries(family.definition.labels.map((label, index) => [label, series.labelValues[index] ?? '']));
      if (family.definition.type === 'gauge') this.absorbGauge(family, series, workerId);
      else addTo(this.cell(family, labels), series);
    }
  }

  /** Drops the gauges of a worker that has gone; what it counted stays. */
  forgetWorker(workerId: string): void {
    this.workerGauges.delete(workerId);
  }

  /** Everything in the text format, version 0.0.4. https://prometheus.io/docs/instrumenting/exposition_formats/ */
  async text(): Promise<string> {
    const lines: string[] = [];
    for (const family of this.families.values()) writeFamily(lines, family, this.shownCells(family));
    const own = `${lines.join('\n')}\n`;
    return this.processRegistry === undefined ? own : `${own}${await this.processRegistry.metrics()}`;
  }

  /** Own cells, for gauges with those of the workers added. */
  private shownCells(family: Family): readonly Cell[] {
    if (family.definition.type !== 'gauge' || this.workerGauges.size === 0) return [...family.cells.values()];
    const sums = new Map([...family.cells].map(([key, cell]) => [key, { ...cell }]));
    for (const series of this.workerGauges.values()) {
      for (const { name, labelValues, value } of series.values()) {
        if (name !== family.name) continue;
        const key = cellKey(labelValues);
        const sum = sums.get(key);
        if (sum === undefined) sums.set(key, { labelValues, value, counts: undefined });
        else sum.value += value;
      }
    }
    return [...sums.values()];
  }

  private absorbGauge(family: Family, series: SeriesDelta, workerId: string): void {
    const gauges = this.workerGauges.get(workerId) ?? new Map<string, WorkerGauge>();
    this.workerGauges.set(workerId, gauges);
    const key = seriesKey(family.name, cellKey(series.labelValues));
    if (series.removed === true) gauges.delete(key);
    else if (gauges.size < maxSeriesPerMetric) gauges.set(key, { name: family.name, labelValues: series.labelValues, value: series.value });
  }

  private family(name: string, type?: MetricDefinition['type']): Family {
    const family = this.families.get(name);
    if (family === undefined) throw new RangeError(`unknown metric ${name}`);
    if (type !== undefined && family.definition.type !== type) throw new RangeError(`metric ${name} is a ${family.definition.type}, not a ${type}`);
    return family;
  }

  /** The series of these labels, made when it is new; undefined when the metric has as many as it may. */
  private cell(family: Family, labels: Labels): Cell | undefined {
    const names = family.definition.labels;
    let key = '';
    let given = 0;
    for (const label in labels) {
      if (!names.includes(label)) throw new RangeError(`metric ${family.name} has no label ${label}`);
      given += 1;
    }
    if (given !== names.length) throw new RangeError(`metric ${family.name} needs the labels ${names.join(', ')}`);
    for (const label of names) key += `${labels[label] ?? ''}\u0000`;
    const found = family.cells.get(key);
    return found ?? this.newCell(family, key, names.map((label) => labels[label] ?? ''));
  }

  private newCell(family: Family, key: string, labelValues: readonly string[]): Cell | undefined {
    if (family.cells.size >= maxSeriesPerMetric) {
      this.count('scratchbird_gateway_metric_series_dropped_total', {});
      return undefined;
    }
    const isHistogram = family.definition.type === 'histogram';
    const cell: Cell = { labelValues, value: 0, counts: isHistogram ? new Array<number>(family.definition.buckets.length + 1).fill(0) : undefined };
    family.cells.set(key, cell);
    return cell;
  }
}

function cellKey(labelValues: readonly string[]): string {
  return labelValues.map((value) => `${value}\u0000`).join('');
}

function seriesKey(name: string, key: string): string {
  return `${name}\u0001${key}`;
}

function labelIndex(family: Family, label: string): number {
  const index = family.definition.labels.indexOf(label);
  if (index < 0) throw new RangeError(`metric ${family.name} has no label ${label}`);
  return index;
}

function observeIn(cell: Cell | undefined, bounds: readonly number[], value: number): void {
  if (cell?.counts === undefined || Number.isNaN(value)) return;
  const bucket = bucketOf(bounds, value);
  cell.counts[bucket] = (cell.counts[bucket] ?? 0) + 1;
  cell.value += value;
}

/** Index of the first bound that is not below the value; behind the last one for +Inf. */
function bucketOf(bounds: readonly number[], value: number): number {
  let low = 0;
  let high = bounds.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (value <= (bounds[middle] ?? 0)) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Undefined when there is nothing to send. A new series is sent even at zero, so that a rate over it has a first value. */
function difference(family: Family, cell: Cell, before: ExportedSeries | undefined): SeriesDelta | undefined {
  const base = { name: family.name, labelValues: cell.labelValues };
  if (family.definition.type === 'gauge') return before?.value === cell.value ? undefined : { ...base, value: cell.value };
  const value = cell.value - (before?.value ?? 0);
  if (cell.counts === undefined) return value === 0 && before !== undefined ? undefined : { ...base, value };
  const counts = cell.counts.map((count, index) => count - (before?.counts?.[index] ?? 0));
  return counts.every((count) => count === 0) && before !== undefined ? undefined : { ...base, value, counts };
}

function addTo(cell: Cell | undefined, series: SeriesDelta): void {
  if (cell === undefined) return;
  cell.value += series.value;
  const { counts } = cell;
  if (counts !== undefined) series.counts?.forEach((count, index) => { if (index < counts.length) counts[index] = (counts[index] ?? 0) + count; });
}
