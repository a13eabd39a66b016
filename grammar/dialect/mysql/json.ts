/** json and jsonb; what the servers print differently makes the statement fail. */
import type { Emission, Value } from './emission.ts';
import { typeLabel } from './pg-type.ts';
import { refuse } from './refusal.ts';

export function jsonOperator(_emission: Emission, name: string, left: Value, _right: Value, place: unknown): Value {
  return refuse(`operator ${name} of ${typeLabel(left.type)}`, place);
}
