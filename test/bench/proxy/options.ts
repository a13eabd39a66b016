/** What `bench proxy` is to measure: from flags, else from BENCH_… variables, else the defaults. */

export const workloads = ['select', 'tpcb', 'mix-read', 'mix-write'] as const;
export const modes = ['simple', 'extended', 'prepared'] as const;
export const peers = ['direct', 'pipe', 'gateway', 'gateway-transaction', 'gateway-pipeline', 'pgbouncer-session', 'pgbouncer-transaction', 'odyssey-session', 'odyssey-transaction'] as const;
export type Workload = (typeof workloads)[number];
export type Mode = (typeof modes)[number];
export type PeerName = (typeof peers)[number];

export interface ProxyOptions {
  readonly seconds: number;
  readonly rounds: number;
  /** Of the gateway (workers) and of the pipe. */
  readonly processes: number;
  /** Threads of pgbench; 0: one, or half of the machine's processors where those are more. */
  readonly threads: number;
  /** Of pgbench's tables; 0: as many as the largest number of clients, since with fewer tpcb's clients wait for each other's row locks. */
  readonly scale: number;
  readonly clients: readonly number[];
  /** The same for mix-read and mix-write. */
  readonly mixClients: readonly number[];
  readonly workloads: readonly Workload[];
  readonly modes: readonly Mode[];
  readonly peers: readonly PeerName[];
  /** The file for all figures; empty: a new one in `.causeway/bench`. */
  readonly output: string;
  /** Folder for processor profiles of the product's processes in the first part; empty: none, since they slow it down. */
  readonly profile: string;
}

const defaults: Readonly<Record<string, string>> = {
  seconds: '5', rounds: '5', processes: '2', threads: '0', scale: '0', clients: '1,8,64', 'mix-clients': '8',
  workloads: workloads.join(), modes: modes.join(), peers: peers.join(), output: '', profile: '',
};
/** Enough to see that everything runs; its figures say little. */
const quick: Readonly<Record<string, string>> = { ...defaults, seconds: '2', rounds: '1', clients: '8', modes: 'simple,prepared' };

export const usage = `usage: bench proxy [--quick] ${Object.keys(defaults).map((name) => `[--${name} ${name === 'output' ? 'FILE' : name === 'profile' ? 'DIR' : defaults[name]}]`).join(' ')}`;

/** Throws with the usage when an argument cannot be read. */
export function readOptions(args: readonly string[], environment: Readonly<Record<string, string | undefined>>): ProxyOptions {
  const given = readFlags(args);
  const fallback = given.has('quick') ? quick : defaults;
  const text = (name: string): string => given.get(name) ?? environment[`BENCH_${name.toUpperCase().replaceAll('-', '_')}`] ?? fallback[name] ?? '';
  return {
    seconds: wholeNumber('seconds', text('seconds'), 1), rounds: wholeNumber('rounds', text('rounds'), 1), processes: wholeNumber('processes', text('processes'), 1),
    threads: wholeNumber('threads', text('threads'), 0), scale: wholeNumber('scale', text('scale'), 0),
    clients: listOf(text('clients')).map((each) => wholeNumber('clients', each, 1)), mixClients: listOf(text('mix-clients')).map((each) => wholeNumber('mix-clients', each, 1)),
    workloads: chosen('workloads', text('workloads'), workloads), modes: chosen('modes', text('modes'), modes), peers: chosen('peers', text('peers'), peers),
    output: text('output'), profile: text('profile'),
  };
}

function readFlags(args: readonly string[]): Map<string, string> {
  const given = new Map<string, string>();
  for (let index = 0; index < args.length; index += 1) {
    const [, name = '', joined] = /^--([a-z-]+)(?:=(.*))?$/.exec(args[index] ?? '') ?? [];
    if (name === 'quick' && joined === undefined) given.set(name, 'yes');
    else {
      const value = joined ?? args[(index += 1)];
      if (defaults[name] === undefined || value === undefined) throw new Error(`${name === '' ? String(args[index]) : `--${name}`} is not an option, or lacks its value\n${usage}`);
      given.set(name, value);
    }
  }
  return given;
}

const listOf = (text: string): readonly string[] => [...new Set(text.split(',').map((each) => each.trim()).filter((each) => each !== ''))];

function wholeNumber(name: string, text: string, least: number): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isInteger(value) || value < least) throw new Error(`--${name}: ${text} is not a whole number from ${least} on\n${usage}`);
  return value;
}

/** In the order of `known`, whatever the order they were named in. */
function chosen<Name extends string>(name: string, text: string, known: readonly Name[]): readonly Name[] {
  const wanted = listOf(text);
  const unknown = wanted.find((each) => !known.some((one) => one === each));
  if (unknown !== undefined) throw new Error(`--${name}: ${unknown} is none of ${known.join(', ')}\n${usage}`);
  return known.filter((each) => wanted.includes(each));
}
