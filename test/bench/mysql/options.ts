/** What `bench mysql` is to measure. */
import { parseArgs } from 'node:util';
import { mysqlKinds } from '../../support/mysql-servers.ts';
import type { MysqlKind } from '../../support/mysql-servers.ts';

export const parts = ['bulk', 'apply', 'lag', 'door'] as const;
export type Part = (typeof parts)[number];

export interface MysqlBenchOptions {
  readonly parts: readonly Part[];
  /** Of the parts but `bulk`, whose rival knows MariaDB alone. */
  readonly servers: readonly MysqlKind[];
  /** Rows of `bulk`. */
  readonly rows: number;
  /** Changes of the backlog of `apply`. */
  readonly changes: number;
  /** Changes in one transaction of `apply`. */
  readonly sizes: readonly number[];
  /** Changes per second of `lag`. */
  readonly rate: number;
  /** Length of `lag`. */
  readonly seconds: number;
  /** Of `bulk` and `door`. */
  readonly rounds: number;
  /** Length of a run of `door`. */
  readonly run: number;
  /** Connections of `door`. */
  readonly clients: readonly number[];
}

const defaults = { parts: parts.join(), servers: 'mariadb-10.11', rows: '1000000', changes: '500000', sizes: '1,100', rate: '2000', seconds: '30', rounds: '3', run: '5', clients: '1,8,64' };
const quick: typeof defaults = { ...defaults, rows: '100000', changes: '50000', seconds: '5', rounds: '1', run: '2', clients: '8' };

export const usage = `usage: bench mysql [--quick] ${Object.entries(defaults).map(([name, value]) => `[--${name} ${value}]`).join(' ')}`;

/** Throws with the usage when an argument cannot be read. */
export function readOptions(args: readonly string[]): MysqlBenchOptions {
  const given = read(args);
  const text = (name: keyof typeof defaults): string => given[name] ?? (given.quick === true ? quick : defaults)[name];
  const numbers = (name: keyof typeof defaults): readonly number[] => text(name).split(',').map((each) => wholeNumber(name, each));
  const number = (name: keyof typeof defaults): number => wholeNumber(name, text(name));
  return {
    parts: chosen('parts', text('parts'), parts), servers: chosen('servers', text('servers'), mysqlKinds), rows: number('rows'), changes: number('changes'), sizes: numbers('sizes'),
    rate: number('rate'), seconds: number('seconds'), rounds: number('rounds'), run: number('run'), clients: numbers('clients'),
  };
}

function read(args: readonly string[]): { readonly [Name in keyof typeof defaults]?: string } & { readonly quick?: boolean } {
  const one = { type: 'string' } as const;
  try {
    return parseArgs({ args: [...args], options: { quick: { type: 'boolean' }, parts: one, servers: one, rows: one, changes: one, sizes: one, rate: one, seconds: one, rounds: one, run: one, clients: one } }).values;
  } catch (error) {
    throw new Error(`${error instanceof Error ? error.message : String(error)}\n${usage}`, { cause: error });
  }
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
