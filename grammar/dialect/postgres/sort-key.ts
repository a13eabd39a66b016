/** An expression by whose order on local the values are ordered as on MySQL. */
import { quoteLiteral } from '../../names.ts';
import { shownDecimal } from './convert-value.ts';
import type { MysqlEmission } from './mysql-emission.ts';
import type { Value } from './mysql-expression.ts';
import { typeName } from './mysql-type.ts';
import { refuse } from './refused-mysql.ts';
import { orderKey } from './text-order.ts';

export function sortKey(emission: MysqlEmission, value: Value): string {
  switch (value.type.kind) {
    case 'text':
      if (value.type.isFixed === true) return `(${value.sql} COLLATE "C")`;
      return orderKey(value, value.type.collation ?? emission.connectionCollation(value.place));
    case 'decimal': return shownDecimal(value);
    // A SET is the number that its members are the bits of.
    case 'set': {
      const { labels } = value.type;
      return `CASE WHEN ${value.sql} IS NOT NULL THEN ${labels.map((label, index) => `CASE WHEN ${quoteLiteral(label)} = ANY (${value.sql}) THEN ${1n << BigInt(index)} ELSE 0 END`).join(' + ')} END`;
    }
    case 'json': case 'other': case 'parameter': return refuse(`order of ${typeName(value.type)}`, value.place);
    default: return value.sql;
  }
}

/** Inside GROUP_CONCAT() the server looks at what is kept where a NULL is: the zero of its type, or nothing. */
export function zeroForNull(value: Value): Value {
  const zero = value.nullable ? zeroOf(value) : undefined;
  return zero === undefined ? value : { ...value, sql: `coalesce(${value.sql}, ${zero})`, nullable: false };
}

/** Undefined: it stands before all others, as NULL does. */
function zeroOf({ type, origin }: Value): string | undefined {
  switch (type.kind) {
    case 'int': case 'decimal': case 'double': case 'float': case 'year': return '0';
    case 'bool': return 'false';
    case 'text': return "''";
    case 'bytes': return "''::bytea";
    case 'time': return "'0'::interval";
    case 'date': case 'datetime': case 'timestamp': return "'-infinity'";
    case 'set': return "'{}'::text[]";
    case 'bit': return origin?.column.localType === 'boolean' ? 'false' : `B'${'0'.repeat(type.bits)}'`;
    default: return undefined;
  }
}
