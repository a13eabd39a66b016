/** Which rows belong to the tenants that are compared, by the bytes of the column that names them. */
import { MigrationError } from '../../../config/migration-error.ts';
import { tenantBytes, tenantTypeId } from '../../../grammar/cql/tenant-values.ts';
import { parseCqlType } from '../../../grammar/cql/type.ts';
import type { TableRow } from '../row-reader.ts';
import { printTable } from '../table.ts';
import type { CassandraTable } from '../table.ts';

export interface TenantChoice {
  readonly column: string;
  /** As text, whatever the column's type; not empty. */
  readonly tenants: readonly string[];
}

export type IsChosen = (source: TableRow | undefined, target: TableRow | undefined) => boolean;

/**
 * A row is compared when either side's value is a tenant's, or there is none to be told: a row without a value, static columns of a table whose rows name the tenant. So is every row of a table
 * without the column. Throws MIG071 where the choice would be nothing, or cannot be made.
 */
export function chooseTenants(table: CassandraTable, { column, tenants }: TenantChoice): IsChosen {
  const keys = [...table.partitionKey, ...table.clustering];
  const found = [...keys, ...table.regulars, ...table.statics].find(({ name }) => name === column);
  if (found === undefined) return () => true;
  if (table.statics.includes(found)) throw new MigrationError('MIG071', `Rows of ${printTable(table)} cannot be chosen by ${column}: it is static`);
  const type = parseCqlType(found.type);
  const typeId = type && tenantTypeId(type);
  if (typeId === undefined) throw new MigrationError('MIG071', `Rows of ${printTable(table)} cannot be chosen by ${column}: it is a ${found.type}`);
  const wanted = new Set(tenants.flatMap((tenant) => tenantBytes(tenant, typeId)).map((bytes) => bytes.toString('latin1')));
  if (wanted.size === 0) throw new MigrationError('MIG071', `None of the tenants that are to be compared is a ${found.type}, as ${column} of ${printTable(table)} is`);
  const place = keys.findIndex(({ name }) => name === column);
  const valueOf = (row: TableRow): Buffer | undefined => (place < 0 ? row.cells.find((cell) => cell.column.name === column)?.value : [...row.partitionKey, ...row.clustering][place]);
  const isOf = (row: TableRow | undefined): boolean => {
    const value = row && valueOf(row);
    return value === undefined ? row !== undefined : wanted.has(value.toString('latin1'));
  };
  return (source, target) => isOf(source) || isOf(target);
}
