/**
 * Drops the target's secondary indexes for the time of a load, builds them again, and says whether they are there and built.
 *
 * Nothing is dropped that has not been written down before; dropping and building go one by one, since a cluster takes one change of its definitions at a time; both may be
 * broken off and begun again. The source's indexes are looked at and never touched.
 */
import { MigrationError } from '../../../config/migration-error.ts';
import type { Runtime } from '../../../config/runtime.ts';
import type { Cluster } from '../cluster.ts';
import { printTable, quoteName } from '../table.ts';
import type { TableName } from '../table.ts';
import { createIndex, dropIndex, readIndexes, sameIndex } from './index-definition.ts';
import type { IndexDefinition } from './index-definition.ts';
import type { IndexList } from './index-list.ts';

/** An entry of indexes.yaml: an index that is to be there, and to be gone during the load. */
export interface WantedIndex {
  readonly keyspace: string;
  readonly table: string;
  readonly indexName: string;
  readonly columnName: string;
  readonly indexType: 'secondary' | 'custom';
}

export type IndexState = 'built' | 'building' | 'missing' | 'different';

export interface IndexFinding {
  readonly index: IndexDefinition;
  readonly state: IndexState;
}

const POLL_MS = 500;

export class TargetIndexes {
  readonly #runtime: Runtime;
  readonly #source: Cluster;
  readonly #target: Cluster;
  readonly #list: IndexList;

  constructor(runtime: Runtime, source: Cluster, target: Cluster, list: IndexList) {
    if (target.side !== 'target') throw new MigrationError('MIG090', 'Indexes are only changed on the target');
    this.#runtime = runtime;
    this.#source = source;
    this.#target = target;
    this.#list = list;
  }

  /** Every index of the tables, or only the wanted ones where these are given. Returns what was dropped now. */
  async drop(tables: readonly TableName[], wanted?: readonly WantedIndex[], signal: AbortSignal = this.#runtime.signal): Promise<readonly IndexDefinition[]> {
    const present = (await Promise.all(tables.map(({ keyspace, name }) => readIndexes(this.#target, keyspace, name)))).flat();
    const chosen = wanted === undefined ? present : present.filter((index) => wanted.some((one) => one.keyspace === index.keyspace && one.indexName === index.name));
    // Those that the target does not have yet are built after the load all the same.
    await this.#list.remember([...chosen, ...await this.#absent(present, wanted ?? [])]);
    for (const index of chosen) {
      signal.throwIfAborted();
      if (this.#runtime.faults.armed) await this.#runtime.faults.hit('cassandra.indexes.before_drop');
      await this.#target.run(dropIndex(index));
      this.#runtime.log.info('index dropped for the load', { table: printTable({ keyspace: index.keyspace, name: index.table }), index: index.name });
    }
    return chosen;
  }

  /** Everything on the list, or what is of one keyspace; resolves when all of it is built, and on the list no more. */
  async rebuild(signal: AbortSignal = this.#runtime.signal, of?: string): Promise<readonly IndexDefinition[]> {
    const listed = (await this.#list.read()).filter(({ keyspace }) => of === undefined || keyspace === of);
    for (const index of listed) {
      signal.throwIfAborted();
      await this.#target.run(createIndex(index));
      while ((await this.#stateOf(index)) === 'building') await this.#runtime.clock.sleep(POLL_MS, signal);
      const state = await this.#stateOf(index);
      if (state !== 'built') throw new MigrationError('MIG011', `The index ${index.name} of ${index.keyspace}.${index.table} was built and is ${state}`, { hint: 'Compare the table\'s indexes on the target with the list of dropped indexes.' });
      await this.#list.forget([index]);
      this.#runtime.log.info('index built again', { table: printTable({ keyspace: index.keyspace, name: index.table }), index: index.name });
    }
    return listed;
  }

  /** What is still on the list, and what is wanted, against what is there. */
  async verify(wanted: readonly WantedIndex[] = []): Promise<readonly IndexFinding[]> {
    const listed = await this.#list.read();
    const others = await Promise.all(wanted.filter((one) => !listed.some((index) => index.name === one.indexName && index.keyspace === one.keyspace)).map((one) => this.#definitionOf(one)));
    return Promise.all([...listed, ...others].map(async (index) => ({ index, state: await this.#stateOf(index) })));
  }

  async #absent(present: readonly IndexDefinition[], wanted: readonly WantedIndex[]): Promise<readonly IndexDefinition[]> {
    return Promise.all(wanted.filter((one) => !present.some((index) => index.keyspace === one.keyspace && index.name === one.indexName)).map((one) => this.#definitionOf(one)));
  }

  /** The source knows it more exactly than indexes.yaml does. */
  async #definitionOf({ keyspace, table, indexName, columnName, indexType }: WantedIndex): Promise<IndexDefinition> {
    const known = [...await readIndexes(this.#target, keyspace, table), ...await readIndexes(this.#source, keyspace, table)].find(({ name }) => name === indexName);
    if (known !== undefined) return known;
    const target = /^[a-z][a-z0-9_]*$|\(/.test(columnName) ? columnName : quoteName(columnName);
    return { keyspace, table, name: indexName, kind: indexType === 'custom' ? 'CUSTOM' : 'COMPOSITES', options: { target, ...(indexType === 'custom' ? { class_name: 'StorageAttachedIndex' } : {}) } };
  }

  async #stateOf(index: IndexDefinition): Promise<IndexState> {
    const there = (await readIndexes(this.#target, index.keyspace, index.table)).find(({ name }) => name === index.name);
    if (there === undefined) return 'missing';
    if (!sameIndex(there, index) && !isSameByMeaning(there, index)) return 'different';
    return (await this.#isBuilt(index)) ? 'built' : 'building';
  }

  /** Every node of Cassandra says of itself whether it has built; ScyllaDB's indexes are views, whose building the cluster tells. */
  async #isBuilt({ keyspace, name }: IndexDefinition): Promise<boolean> {
    const { client } = this.#target;
    const hosts = client.hosts.values();
    try {
      const answers = await Promise.all(hosts.map((host) => client.execute('SELECT index_name FROM system."IndexInfo" WHERE table_name = ? AND index_name = ?', [keyspace, name], { prepare: true, host })));
      if (answers.every(({ rowLength }) => rowLength > 0)) return true;
    } catch (error) {
      this.#runtime.log.debug('a node does not tell of its indexes', { error: String(error) });
    }
    const views = await client.execute('SELECT view_name FROM system.built_views WHERE keyspace_name = ?', [keyspace], { prepare: true });
    return views.rows.some((row) => row['view_name'] === `${name}_index`);
  }
}

/** The server writes what it was told in its own way: a collection's values are meant without being named. */
function isSameByMeaning(a: IndexDefinition, b: IndexDefinition): boolean {
  const plain = ({ options }: IndexDefinition): string => (options['target'] ?? '').replace(/^values\((.*)\)$/, '$1').replaceAll('"', '');
  return a.kind === b.kind && plain(a) === plain(b) && (a.options['class_name'] ?? '').split('.').at(-1)?.toLowerCase() === (b.options['class_name'] ?? '').split('.').at(-1)?.toLowerCase();
}
