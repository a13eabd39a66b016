/** A call while it is translated. */
import type { CallDetails, Expression, OrderItem } from './mysql-tree.ts';
import type { MysqlEmission } from './mysql-emission.ts';
import type { Value } from './mysql-expression.ts';
import { refuse } from './refused-mysql.ts';

export interface CallContext {
  readonly emission: MysqlEmission;
  readonly name: string;
  readonly args: readonly Value[];
  readonly nodes: readonly Expression[];
  readonly details: CallDetails;
  readonly place: number;
  /** Keys of ORDER BY inside the call. */
  order(items: readonly OrderItem[]): string;
}

export type CallEmitter = (call: CallContext) => Value;

/** Argument `index`, which the call has to have. */
export function argument(call: CallContext, index: number): Value {
  return call.args[index] ?? refuse(`${call.name}() with ${call.args.length} arguments`, call.place);
}

export function optionalArgument(call: CallContext, index: number): Value | undefined {
  return call.args[index];
}

export function exactly(call: CallContext, least: number, most: number = least): void {
  if (call.args.length < least || call.args.length > most) refuse(`${call.name}() with ${call.args.length} arguments`, call.place);
}

/** A whole number that is written as a constant. */
export function constantNumber(value: Value, what: string): number {
  if (value.type.kind !== 'int' || value.constant === undefined) return refuse(what, value.place);
  return Number(value.constant);
}

/** Before MySQL 8 and on MariaDB the number that these are read as has no digits behind the point. */
export function wholeDigits({ emission }: CallContext): { readonly decimals?: number } {
  const { flavour, version } = emission.facts.mode.server;
  return flavour === 'mariadb' || version < 80000 ? { decimals: 0 } : {};
}
