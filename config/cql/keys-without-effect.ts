/** Keys of the documents' files that are taken so that a file starts as it is, and that do nothing here: each with what is done instead, to be said at the start. */

export type ServiceName = 'dual-writer' | 'sstable-loader' | 'dual-reader';

export interface KeyWithoutEffect {
  /** As in the file: `loader.prefetch_rows`. */
  readonly key: string;
  readonly instead: string;
}

const traces = 'there are no traces; GET /metrics has histograms of every step';
const everywhere: Readonly<Record<string, string>> = { 'observability.jaeger_endpoint': traces };
const checkpoints = 'what is finished is in the state directory, on disk before the next range begins';
const instead: Readonly<Record<ServiceName, Readonly<Record<string, string>>>> = {
  'dual-writer': {
    'source.speculative_execution': 'drivers send speculatively through the proxy as their own settings say', 'target.speculative_execution': 'drivers send speculatively through the proxy as their own settings say',
  },
  'sstable-loader': {
    'loader.checkpoint_file': checkpoints, 'loader.checkpoint_interval_secs': checkpoints, 'loader.checkpoint_interval_ms': checkpoints,
    'loader.prefetch_rows': 'the next page is always on its way while one is written', 'loader.compression': 'the connections are not compressed',
    'loader.insert_batch_size': 'rows are written by themselves, insert_concurrency of them at once: a batch over partitions burdens one node with the others\' rows',
  },
  'dual-reader': {},
};

/** In the order of the file. What is null, false or empty asks for nothing. */
export function keysWithoutEffect(service: ServiceName, file: Readonly<Record<string, unknown>>): readonly KeyWithoutEffect[] {
  const known = { ...everywhere, ...instead[service] };
  return Object.entries(file).flatMap(([section, keys]) => Object.entries(isSection(keys) ? keys : {}).flatMap(([name, value]) => {
    const key = `${section}.${name}`;
    if (key === 'loader.enable_pagination' && value === false) return [{ key, instead: 'tables are always read page by page' }];
    const why = known[key];
    return why === undefined || value === null || value === false || value === '' ? [] : [{ key, instead: why }];
  }));
}

function isSection(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
