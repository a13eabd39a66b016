/** Reading SQLite rows into record fields: each reader checks what it gets, because a catalog that lies must not be believed. */
import { MigrationError } from '../../config/migration-error.ts';
import type { JsonObject, StoredPosition } from '../records.ts';
import type { TableState } from '../table-state.ts';
import { tableStates } from '../table-state.ts';
import { storedToIso } from './connection.ts';
import type { Row } from './connection.ts';

export function text(row: Row, column: string): string {
  const value = row[column];
  if (typeof value !== 'string') throw damaged(column, 'a text');
  return value;
}

export function optionalText(row: Row, column: string): string | undefined {
  return row[column] === null ? undefined : text(row, column);
}

export function integer(row: Row, column: string): number {
  const value = row[column];
  if (typeof value !== 'number') throw damaged(column, 'a number');
  return value;
}

export function optionalInteger(row: Row, column: string): number | undefined {
  return row[column] === null ? undefined : integer(row, column);
}

export function flag(row: Row, column: string): boolean {
  return integer(row, column) !== 0;
}

export function time(row: Row, column: string): string {
  return storedToIso(text(row, column));
}

export function optionalTime(row: Row, column: string): string | undefined {
  return row[column] === null ? undefined : time(row, column);
}

export function json(row: Row, column: string): JsonObject {
  const value: unknown = JSON.parse(text(row, column));
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw damaged(column, 'a JSON object');
  return value as JsonObject;
}

export function optionalJson(row: Row, column: string): JsonObject | undefined {
  return row[column] === null ? undefined : json(row, column);
}

export function stringArray(row: Row, column: string): readonly string[] {
  const value = jsonList(row, column);
  if (!value.every((item) => typeof item === 'string')) throw damaged(column, 'a list of texts');
  return value;
}

export function jsonList(row: Row, column: string): readonly unknown[] {
  const value: unknown = JSON.parse(text(row, column));
  if (!Array.isArray(value)) throw damaged(column, 'a list');
  return value;
}

export function position(row: Row, column: string): StoredPosition {
  const value = json(row, column);
  if (typeof value['type'] !== 'string') throw damaged(column, 'a position');
  return value as StoredPosition;
}

export function oneOf<T extends string>(row: Row, column: string, allowed: readonly T[]): T {
  const value = text(row, column);
  const found = allowed.find((item) => item === value);
  if (found === undefined) throw damaged(column, `one of ${allowed.join(', ')}`);
  return found;
}

export function state(row: Row, column: string): TableState {
  return oneOf(row, column, tableStates);
}

export function optionalState(row: Row, column: string): TableState | undefined {
  return row[column] === null ? undefined : state(row, column);
}

function damaged(column: string, expected: string): MigrationError {
  return new MigrationError('MIG091', `catalog column ${column} does not hold ${expected}`, {
    hint: 'Restore the catalog from its backup.',
  });
}
