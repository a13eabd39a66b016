/** Has anybody but the migration switched the table's mode? Then writes may have gone past one of the clusters, and nothing but a new load tells which. */
import type { TableRecord } from '../../../catalog/records.ts';
import type { CqlModeName } from '../../../config/cql/cql-settings.ts';
import { MigrationError } from '../../../config/migration-error.ts';
import { clusterName } from './cluster-context.ts';
import type { ClusterContext } from './cluster-context.ts';
import type { TableAtProxy } from './proxy-port.ts';

/** Throws MIG024. */
export async function assertHeld(context: Pick<ClusterContext, 'proxy'>, record: TableRecord, modes: readonly CqlModeName[]): Promise<void> {
  const lost = lossOfHold(await context.proxy.table(clusterName(record)), record, modes);
  if (lost) throw lost;
}

export function lossOfHold({ isHeld, modes: present }: TableAtProxy, record: TableRecord, modes: readonly CqlModeName[]): MigrationError | undefined {
  if (isHeld && present.every((mode) => modes.includes(mode))) return undefined;
  const name = clusterName(record);
  return new MigrationError('MIG024', `The mode of ${name} was switched past the migration, and is ${present.join(' and ')} now`, {
    tableName: name, detail: 'Writes may have gone to one cluster only: POST /config/mode with force, or the state of the proxy was lost.',
    hint: record.route.writes === 'source' ? `RESYNC MIGRATION FOR TABLE ${name}; writes both again and loads it anew.` : 'Find out from the log of the proxy who has switched it; compare both clusters before anything else.',
  });
}
