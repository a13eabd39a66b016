/**
 * What the log of keys knows besides the writes themselves: since when the writes of which table are in it, and which tables were changed by a statement that has no keys.
 *
 * A table's writes are in the log while its mode writes both clusters. Where the table, its keyspace or everything was written on one cluster only, `notedSinceMs` says until when; the most special
 * entry holds.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { planOf, readMode } from '../modes.ts';
import type { CqlMode, ModeTable } from '../modes.ts';

const FORMAT = 1;

export interface KeyLogState {
  readonly format: number;
  /** Of the machine's run in which it was kept: what a loss of power has taken of the log cannot be seen in it. */
  readonly bootId: string;
  /** Writes up to this time may have been dropped, or lost. */
  readonly droppedMs: number;
  /** Under `ks.table`, `ks`, and the empty name for everything else. */
  readonly notedSinceMs: Readonly<Record<string, number>>;
  /** When `ks.table`, all tables of `ks.*`, or under the empty name any table, was last changed by a statement without keys. */
  readonly touchedMs: Readonly<Record<string, number>>;
  readonly modes: { readonly global: string; readonly keyspaces: Readonly<Record<string, string>>; readonly tables: Readonly<Record<string, string>> };
}

export function keyLogFile(directory: string): string {
  return path.join(directory, 'keys', 'state.json');
}

/** Undefined when no log is kept. Throws for one that cannot be read. */
export function readKeyLogState(directory: string): KeyLogState | undefined {
  const file = keyLogFile(directory);
  if (!fs.existsSync(file)) return undefined;
  const state = JSON.parse(fs.readFileSync(file, 'utf8')) as Partial<KeyLogState>;
  if (state.format !== FORMAT) throw new Error(`${file} has a format that this version does not read`);
  return state as KeyLogState;
}

export function newState(modes: ModeTable, bootId: string, nowMs: number): KeyLogState {
  return { format: FORMAT, bootId, droppedMs: 0, notedSinceMs: { '': nowMs }, touchedMs: {}, modes: storedModes(modes) };
}

function storedModes({ global, keyspaces, tables }: ModeTable): KeyLogState['modes'] {
  return { global, keyspaces: Object.fromEntries(keyspaces), tables: Object.fromEntries(tables) };
}

export function modesOf({ modes }: KeyLogState): ModeTable {
  const read = (text: string): CqlMode => readMode(text) ?? 'SourceOnly';
  const map = (entries: Readonly<Record<string, string>>): Map<string, CqlMode> => new Map(Object.entries(entries).map(([name, mode]) => [name, read(mode)]));
  return { global: read(modes.global), keyspaces: map(modes.keyspaces), tables: map(modes.tables) };
}

function isNoted(modes: ModeTable, scope: string): boolean {
  const dot = scope.indexOf('.');
  return planOf(modes, dot < 0 ? scope : scope.slice(0, dot), dot < 0 ? '' : scope.slice(dot + 1)).shadow !== undefined;
}

function notedSince({ notedSinceMs }: KeyLogState, scope: string): number {
  return notedSinceMs[scope] ?? notedSinceMs[scope.split('.', 1)[0] ?? ''] ?? notedSinceMs[''] ?? Infinity;
}

/** The modes change: what one cluster alone was written under the old ones is noted from `atMs` on, if it is under the new ones. */
export function switched(state: KeyLogState, after: ModeTable, atMs: number): KeyLogState {
  const before = modesOf(state);
  const scopes = new Set(['', ...before.keyspaces.keys(), ...before.tables.keys(), ...after.keyspaces.keys(), ...after.tables.keys(), ...Object.keys(state.notedSinceMs)]);
  const noted = [...scopes].map((scope): [string, number] => [scope, isNoted(before, scope) ? notedSince(state, scope) : atMs]);
  return { ...state, notedSinceMs: Object.fromEntries(noted), modes: storedModes(after) };
}

/** Requests of before the switch have ended: what was to be noted from `atMs` on is noted from now on. */
export function settledSince(state: KeyLogState, atMs: number, nowMs: number): KeyLogState {
  return { ...state, notedSinceMs: Object.fromEntries(Object.entries(state.notedSinceMs).map(([scope, since]) => [scope, since === atMs ? nowMs : since])) };
}

/** Why the log does not tell all writes of the table since then; undefined when it does. */
export function whyUnknown(state: KeyLogState, keyspace: string, table: string, sinceMs: number): string | undefined {
  const name = `${keyspace}.${table}`;
  const { droppedMs, touchedMs } = state;
  if (!isNoted(modesOf(state), name)) return `${name} is written on one cluster only, and such writes are not noted`;
  const noted = notedSince(state, name);
  if (noted > sinceMs) return `its writes are noted since ${timeOf(noted)} only`;
  if (droppedMs >= sinceMs) return `the log of keys does not reach further back than ${timeOf(droppedMs)}`;
  const touched = Math.max(touchedMs[name] ?? 0, touchedMs[`${keyspace}.*`] ?? 0, touchedMs[''] ?? 0);
  return touched >= sinceMs ? `a statement without keys (TRUNCATE, a change of the schema, or one that was not understood) has changed it at ${timeOf(touched)}` : undefined;
}

export function timeOf(ms: number): string {
  return Number.isFinite(ms) && Math.abs(ms) < 8.64e15 ? new Date(ms).toISOString() : 'no time';
}
