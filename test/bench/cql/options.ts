/** What `bench cql` is to measure. */
import { parseArgs } from 'node:util';
import { workloads } from './workload.ts';
import type { Workload } from './workload.ts';

export const peerNames = ['direct', 'pipe', 'SourceOnly', 'DualAsync', 'DualSync', 'DualAsync-fsync', 'zdm'] as const;
export type PeerName = (typeof peerNames)[number];

export interface Shape {
  readonly connections: number;
  /** Requests in hand on each. */
  readonly depth: number;
}

export interface CqlBenchOptions {
  readonly peers: readonly PeerName[];
  readonly workloads: readonly Workload[];
  readonly shapes: readonly Shape[];
  readonly rounds: number;
  /** Milliseconds of one run. */
  readonly run: number;
  /** Who gives writes their timestamps. */
  readonly timestamps: 'client' | 'proxy';
  /** Folder of another checkout, whose product is measured beside this one's. */
  readonly other: string | undefined;
  /** Folder for processor profiles of the product. */
  readonly profile: string | undefined;
}

const defaults = { peers: 'direct,pipe,SourceOnly,DualAsync,DualSync,zdm', workloads: workloads.join(), shapes: '1x1,64x1,32x4', rounds: '3', run: '800', timestamps: 'client' };
const quick: typeof defaults = { ...defaults, workloads: 'write', shapes: '64x1,32x4', rounds: '1', run: '500' };

export const usage = `usage: bench cql [--quick] ${Object.entries(defaults).map(([name, value]) => `[--${name} ${value}]`).join(' ')} [--other FOLDER] [--profile FOLDER]`;

/** Throws with the usage when an argument cannot be read. */
export function readOptions(args: readonly string[]): CqlBenchOptions {
  const given = read(args);
  const text = (name: keyof typeof defaults): string => given[name] ?? (given.quick === true ? quick : defaults)[name];
  return {
    peers: chosen('peers', text('peers'), peerNames), workloads: chosen('workloads', text('workloads'), workloads), shapes: text('shapes').split(',').map(readShape),
    rounds: wholeNumber('rounds', text('rounds')), run: wholeNumber('run', text('run')), timestamps: chosen('timestamps', text('timestamps'), ['client', 'proxy'] as const)[0] ?? 'client', other: given.other, profile: given.profile,
  };
}

type Given = { readonly [Name in keyof typeof defaults]?: string } & { readonly quick?: boolean; readonly other?: string; readonly profile?: string };

function read(args: readonly string[]): Given {
  const one = { type: 'string' } as const;
  try {
    return parseArgs({ args: [...args], options: { quick: { type: 'boolean' }, peers: one, workloads: one, shapes: one, rounds: one, run: one, timestamps: one, other: one, profile: one } }).values;
  } catch (error) {
    throw new Error(`${error instanceof Error ? error.message : String(error)}\n${usage}`, { cause: error });
  }
}

/** `64x4`: connections, and requests in hand on each. */
function readShape(text: string): Shape {
  const [, connections, depth] = /^([1-9]\d{0,3})x([1-9]\d{0,3})$/.exec(text.trim()) ?? [];
  if (connections === undefined || depth === undefined) throw new Error(`--shapes: ${text} is not CONNECTIONSxDEPTH\n${usage}`);
  return { connections: Number(connections), depth: Number(depth) };
}

function wholeNumber(name: string, text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isInteger(value) || value < 1) throw new Error(`--${name}: ${text} is not a whole number from 1 on\n${usage}`);
  return value;
}

function chosen<Name extends string>(name: string, text: string, known: readonly Name[]): readonly Name[] {
  const wanted = text.split(',').map((each) => each.trim());
  const unknown = wanted.find((each) => !known.some((one) => one === each));
  if (unknown !== undefined) throw new Error(`--${name}: ${unknown} is none of ${known.join(', ')}\n${usage}`);
  return known.filter((each) => wanted.includes(each));
}
