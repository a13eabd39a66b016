/** Prometheus' text format, version 0.0.4. https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format */
import type { MetricDefinition, MetricName } from '../../config/metric-list.ts';

/** One series: a number, or a histogram's counts for each bucket (not cumulative, the last one is +Inf) with their sum. */
export interface Cell {
  /** In the order of the definition's labels. */
  readonly labelValues: readonly string[];
  /** Of a histogram: the sum of what was observed. */
  value: number;
  readonly counts: number[] | undefined;
}

export interface Family<Name extends string = MetricName> {
  readonly name: Name;
  readonly definition: MetricDefinition;
  readonly cells: Map<string, Cell>;
}

/** Adds the lines of one metric; a metric without series has its HELP and TYPE only. */
export function writeFamily(lines: string[], family: Family<string>, cells: readonly Cell[]): void {
  const { name, definition } = family;
  lines.push(`# HELP ${name} ${definition.help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}`, `# TYPE ${name} ${definition.type}`);
  for (const cell of cells) {
    const labels = definition.labels.map((label, index) => `${label}="${escapeLabel(cell.labelValues[index] ?? '')}"`);
    if (cell.counts === undefined) lines.push(`${name}${braces(labels)} ${number(cell.value)}`);
    else writeHistogram(lines, family, labels, cell.counts, cell.value);
  }
}

function writeHistogram(lines: string[], family: Family<string>, labels: readonly string[], counts: readonly number[], sum: number): void {
  let total = 0;
  counts.forEach((count, index) => {
    total += count;
    const bound = family.definition.buckets[index] ?? Number.POSITIVE_INFINITY;
    lines.push(`${family.name}_bucket${braces([...labels, `le="${number(bound)}"`])} ${total}`);
  });
  lines.push(`${family.name}_sum${braces(labels)} ${number(sum)}`, `${family.name}_count${braces(labels)} ${total}`);
}

function braces(labels: readonly string[]): string {
  return labels.length === 0 ? '' : `{${labels.join(',')}}`;
}

function escapeLabel(value: string): string {
  return /["\\\n]/.test(value) ? value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n') : value;
}

function number(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf';
  return value === Number.NEGATIVE_INFINITY ? '-Inf' : `${value}`;
}
