/**
 * Rows of local that won a conflict, written to the source as a client writes them (docs/decisions/0005-winners-are-written-as-clients-write.md).
 *
 * A row of MySQL has no mark that changes with each write: it may have been changed and changed back between two looks. So it is locked, and only once the stream has
 * brought all that was written of it before is it asked whether local's row still is the winner; until the row is written nobody else writes it.
 */
import { createHash } from 'node:crypto';
import type { RowImage } from '../apply/conflict.ts';
import { rowImage } from '../apply/change-record.ts';
import { rowFromValues } from '../apply/fetch-rows.ts';
import { emptySet } from '../apply/fold.ts';
import type { RowRef } from '../apply/row-set.ts';
import type { StepRun } from '../apply/run-steps.ts';
import type { TableBinding } from '../apply/table-binding.ts';
import { MigrationError } from '../../config/migration-error.ts';
import type { ServerAddress } from '../postgres/server-address.ts';
import type { RowVersion, WrittenVersion } from '../stream/change-source.ts';
import { MysqlApplyConnection } from './apply/apply-connection.ts';
import { isHeldUp } from './apply/apply-error.ts';
import { fetchMysqlRows, sameKey } from './apply/fetch-rows.ts';
import { runSteps } from './apply/run-steps.ts';
import { literalsOf, writtenTable } from './apply/target-table.ts';
import { errnoOf } from './connect.ts';

const run: StepRun = { isStrict: () => true, onReread: () => undefined, lsn: '0' };

/** By ordinal (1-based) of the key, as the type map makes them on local. */
export async function readMysqlVersions(rows: MysqlApplyConnection['rows'], table: TableBinding, keys: readonly RowRef[]): Promise<Map<number, RowVersion>> {
  const found = await fetchMysqlRows({ rows }, table, keys);
  return new Map([...found].map(([ordinal, row]) => {
    const image = rowImage(table, row);
    return [ordinal, { id: createHash('sha256').update(JSON.stringify(image)).digest('base64'), image }];
  }));
}

export class VersionWriter {
  readonly #address: ServerAddress;
  #connection: MysqlApplyConnection | undefined;
  /** Where it leads: the address may be another server's by now. */
  #place = '';

  constructor(address: ServerAddress) {
    this.#address = address;
  }

  /** `stands`: asked with the row locked. Throws MIG014, or MIG031 with what the server has against it. */
  async write(table: TableBinding, id: string, image: RowImage, stands: () => Promise<boolean>): Promise<WrittenVersion> {
    const connection = await this.#connected();
    try {
      const outcome = await writeLocked(connection, table, id, image, async () => (await stands()) && this.#isThere());
      await connection.run(outcome === 'changed' ? 'ROLLBACK' : 'COMMIT');
      return outcome;
    } catch (error) {
      const isWhole = errnoOf(error) !== undefined || error instanceof MigrationError;
      if (!isWhole || !(await connection.run('ROLLBACK').then(() => true, () => false))) await this.close();
      if (isHeldUp(error)) return 'locked';
      if (errnoOf(error) === undefined) throw error;
      throw new MigrationError('MIG031', 'the source does not take the row', { tableName: table.targetName, detail: error instanceof Error ? error.message : String(error), cause: error });
    }
  }

  async #connected(): Promise<MysqlApplyConnection> {
    if (this.#connection && !this.#isThere()) await this.close();
    if (this.#connection) return this.#connection;
    this.#place = placeOf(this.#address);
    // Without the applier's token: a fence that stands means that local's rows come in another way.
    const connection = await MysqlApplyConnection.open(this.#address, undefined);
    connection.onEnd(() => {
      if (this.#connection === connection) this.#connection = undefined;
    });
    this.#connection = connection;
    return connection;
  }

  #isThere(): boolean {
    return this.#place === placeOf(this.#address);
  }

  async close(): Promise<void> {
    const connection = this.#connection;
    this.#connection = undefined;
    await connection?.close();
  }
}

function placeOf({ host, port }: ServerAddress): string {
  return `${host}:${port}`;
}

async function writeLocked(connection: MysqlApplyConnection, table: TableBinding, id: string, image: RowImage, stands: () => Promise<boolean>): Promise<'written' | 'changed' | 'unchanged'> {
  const row = rowFromValues(table, table.columns.map((column) => image[column.plan.name] ?? null));
  const written = writtenTable(table);
  const now = async (): Promise<string | undefined> => (await readMysqlVersions((sql) => connection.rows(sql), table, [row])).get(1)?.id;
  await connection.run('BEGIN');
  await connection.run(`SELECT 1 FROM ${written.name} WHERE ${sameKey(written, literalsOf(written, row, written.key))} FOR UPDATE`);
  if ((await now()) !== id || !(await stands())) return 'changed';
  await runSteps(connection, [{ ...emptySet, table, updates: [row] }], run);
  // A policy may make of local's values the very ones that stand there: no change, and nothing that comes back.
  return (await now()) === id ? 'unchanged' : 'written';
}
