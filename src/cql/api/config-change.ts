/** What a body of `POST /config` asks for: another mode, and anything else only as it is already, so that a client may send back all that it knows. */

type Config = Readonly<Record<string, unknown>>;

export interface ConfigChange {
  readonly mode: unknown;
  readonly force: unknown;
  /** Keys as they were given whose values are not those in force; none of them can change while the process runs. */
  readonly fixed: readonly string[];
}

/** The documents' names of what the settings call otherwise. */
const names: Readonly<Record<string, readonly string[]>> = {
  cassandra_hosts: ['source', 'hosts'], scylla_hosts: ['target', 'hosts'], validation_percentage: ['sampledReads'],
  shadow_write_timeout_ms: ['shadowTimeoutMs'], primary_write_timeout_ms: ['requestTimeoutMs'], max_retry_attempts: ['replay', 'maxRefusals'], batch_size: ['replay', 'inFlight'],
};

/** `config`: the settings in force, as `GET /config` shows them. */
export function configChange(body: Config, config: Config): ConfigChange {
  const { writer, write_mode: written, mode, force, ...others } = body;
  const { mode: inWriter, ...othersOfWriter } = isSection(writer) ? writer : {};
  const differing = (section: Config): readonly string[] => Object.entries(section).flatMap(([name, value]) => (isSameAs(value, valueOf(config, name)) ? [] : [name]));
  return { mode: written ?? mode ?? inWriter, force, fixed: [...differing(others), ...differing(othersOfWriter).map((name) => `writer.${name}`)] };
}

function valueOf(config: Config, name: string): unknown {
  const path = names[name] ?? [name.replace(/_(\w)/g, (_whole, letter: string) => letter.toUpperCase())];
  return path.reduce<unknown>((at, key) => (isSection(at) ? at[key] : undefined), config);
}

function isSameAs(given: unknown, own: unknown): boolean {
  return own !== undefined && JSON.stringify(given) === JSON.stringify(own);
}

function isSection(value: unknown): value is Config {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
