/** Makes the routing snapshot from the catalog and puts it in force at the gateway workers. The catalog is the truth; this only shows it. */
import type { Catalog } from '../../catalog/catalog.ts';
import type { TableRecord } from '../../catalog/records.ts';
import { defaultOptions } from '../../grammar/migration/options.ts';
import { relationKey } from '../../catalog/routing-snapshot.ts';
import type { RoutingSnapshot, TableRoute, TwoPhase } from '../../catalog/routing-snapshot.ts';
import { markableTable } from './markable-table.ts';
import type { MigratedTable } from '../../grammar/dialect/migrated-table.ts';
import { detailsOf, routedKeys } from './table-details.ts';
import type { WorkerFleet } from './worker-fleet.ts';

/** What the source's own catalog says about the relations around the migrated tables; see `RoutingSnapshot`. */
export type RoutingRelations = Pick<RoutingSnapshot, 'views' | 'sequences' | 'writeClosure' | 'shadows' | 'missingOnLocal' | 'storedViews' | 'functions'>;

export const noRelations: RoutingRelations = { views: {}, sequences: {}, writeClosure: {}, shadows: [] };

/** Of several servers. */
export function mergeRelations(all: readonly RoutingRelations[]): RoutingRelations {
  const lists = (pick: (one: RoutingRelations) => readonly string[] | undefined): readonly string[] => [...new Set(all.flatMap((one) => pick(one) ?? []))];
  return {
    views: Object.assign({}, ...all.map(({ views }) => views)), sequences: Object.assign({}, ...all.map(({ sequences }) => sequences)),
    writeClosure: Object.assign({}, ...all.map(({ writeClosure }) => writeClosure)), functions: Object.assign({}, ...all.map(({ functions }) => functions ?? {})),
    shadows: lists(({ shadows }) => shadows), missingOnLocal: lists(({ missingOnLocal }) => missingOnLocal), storedViews: lists(({ storedViews }) => storedViews),
  };
}

const RELATIONS_SETTING = 'routing relations';
const TWO_PHASE_SETTING = 'two-phase commit';

export class RoutingPublisher {
  readonly #catalog: Catalog;
  readonly #fleet: WorkerFleet;
  readonly #readRelations: (tables: readonly TableRecord[]) => Promise<RoutingRelations>;
  /** Of each quiescing table; in memory only, as a barrier ends with the process that made it. */
  readonly #barriers = new Map<string, Barrier>();
  #nextBarrier = 1;
  #relations: RoutingRelations = noRelations;
  #isStale = false;
  #refreshing: Promise<void> = Promise.resolve();
  /** Has not begun. */
  #nextRefresh: Promise<void> | undefined;
  #turn: Promise<void> = Promise.resolve();

  constructor(catalog: Catalog, fleet: WorkerFleet, readRelations: (tables: readonly TableRecord[]) => Promise<RoutingRelations>) {
    this.#catalog = catalog;
    this.#fleet = fleet;
    this.#readRelations = readRelations;
  }

  get relations(): RoutingRelations {
    return this.#relations;
  }

  /** True while what is known of views, sequences and functions is older than the tables: the source could not be asked. */
  get isStale(): boolean {
    return this.#isStale;
  }

  /** As the last process knew them: a source that is down at the start must not make views over moved tables look like its own. */
  async restoreRelations(): Promise<void> {
    const saved = await this.#catalog.setting(RELATIONS_SETTING);
    if (saved !== undefined) this.#relations = JSON.parse(saved) as RoutingRelations;
    const twoPhase = await this.#catalog.setting(TWO_PHASE_SETTING);
    if (twoPhase !== undefined) this.#twoPhase = (JSON.parse(twoPhase) as TwoPhase | null) ?? undefined;
  }

  /**
   * Reads views, sequences and shadows again: after START, after DDL, when tables leave. Takes effect at the next `publish`. One after the other, or what was read
   * first could be kept last; those who come while one is being read share the next, for a schema's tables all come at once.
   */
  refreshRelations(): Promise<void> {
    this.#isStale = true;
    if (this.#nextRefresh) return this.#nextRefresh;
    const next = this.#refreshing.catch(() => undefined).then(() => {
      this.#nextRefresh = undefined;
      return this.#refresh();
    });
    this.#refreshing = next;
    this.#nextRefresh = next;
    return next;
  }

  async #refresh(): Promise<void> {
    const tables = await this.#catalog.tables();
    this.#relations = tables.length === 0 ? noRelations : await this.#readRelations(tables);
    await this.#catalog.putSetting(RELATIONS_SETTING, JSON.stringify(this.#relations));
    this.#isStale = this.#nextRefresh !== undefined;
  }

  /** From the next epoch on the tables belong to one barrier, which still lets those through that hold locks (RULES 21). */
  openBarrier(tableIds: readonly string[]): void {
    const barrier = { id: this.#nextBarrier++, closed: false };
    for (const tableId of tableIds) this.#barriers.set(tableId, barrier);
  }

  /** From the next epoch on it lets nobody through who has not touched one of its tables before. */
  closeBarrier(tableIds: readonly string[]): void {
    for (const tableId of tableIds) {
      const barrier = this.#barriers.get(tableId);
      if (barrier) this.#barriers.set(tableId, { ...barrier, closed: true });
    }
  }

  /** How blocks that have written on both sides are committed; takes effect at the next `publish`. True when that has changed. */
  async setTwoPhase(twoPhase: TwoPhase | undefined): Promise<boolean> {
    const isNew = JSON.stringify(twoPhase) !== JSON.stringify(this.#twoPhase);
    this.#twoPhase = twoPhase;
    if (isNew) await this.#catalog.putSetting(TWO_PHASE_SETTING, JSON.stringify(twoPhase ?? null));
    return isNew;
  }

  #twoPhase: TwoPhase | undefined;

  get twoPhase(): TwoPhase | undefined {
    return this.#twoPhase;
  }

  /** Resolves once the catalog's present epoch, or a later one, is in force at every worker. One at a time, in order. */
  publish(): Promise<void> {
    const next = this.#turn.then(() => this.#publishNow());
    this.#turn = next.catch(() => undefined);
    return next;
  }

  async #publishNow(): Promise<void> {
    // The epoch is read first: routes that are newer than it are then shown early, never late.
    const epoch = await this.#catalog.epoch();
    const tables = await this.#catalog.tables();
    await this.#fleet.publish({ epoch, tables: routesOf(tables, this.#standingBarriers(tables)), ...this.#relations, sequences: { ...identitySequences(tables), ...this.#relations.sequences }, ...(this.#twoPhase === undefined ? {} : { twoPhase: this.#twoPhase }) });
  }

  #standingBarriers(tables: readonly TableRecord[]): ReadonlyMap<string, Barrier> {
    for (const { tableId, route } of tables) if (!route.quiescing) this.#barriers.delete(tableId);
    return this.#barriers;
  }
}

interface Barrier {
  readonly id: number;
  readonly closed: boolean;
}

export function routesOf(records: readonly TableRecord[], barriers: ReadonlyMap<string, Barrier> = new Map()): Record<string, TableRoute> {
  const routes: Record<string, TableRoute> = {};
  for (const record of records) {
    if (record.state === 'NOT_STARTED') continue;
    const barrier = barriers.get(record.tableId);
    const route = { ...routeOf(record), ...(barrier === undefined ? {} : { barrier: barrier.id, closed: barrier.closed }) };
    routes[relationKey(record.source.schema, record.source.name)] = route;
    for (const partition of detailsOf(record).partitions ?? []) {
      // A partition keeps its own name on local, and follows its table into another schema when it lived beside it.
      const local = { schema: partition.schema === record.source.schema ? record.target.schema : partition.schema, name: partition.name };
      routes[relationKey(partition.schema, partition.name)] = { ...route, source: partition, local };
    }
  }
  return routes;
}

function routeOf(record: TableRecord): TableRoute {
  const compare = comparePercent(record);
  const markable = markableTable(record);
  const { door, translation } = detailsOf(record);
  return { tableId: record.tableId, state: record.state, source: record.source, local: record.target, ...record.route, ...(compare === undefined ? {} : { compare }), ...(markable === undefined ? {} : { markable }), ...(door === undefined ? {} : { door }), ...(translation === undefined ? {} : { factsHash: translation.hash }) };
}

/** Not a flag of the catalog's: it says nothing of where anything goes, only what else is done with an answer. */
function comparePercent({ options, route, state }: TableRecord): number | undefined {
  const isFollowed = (state === 'DUAL_WRITE' || state === 'CUTOVER_READY') && route.reads === 'source' && route.writes === 'source' && !route.quiescing;
  if (options['readFrom'] !== 'compare' || !isFollowed) return undefined;
  const percent = options['comparePercent'];
  return typeof percent === 'number' ? percent : defaultOptions.comparePercent;
}

/** Of tables of another engine, whose source has none: local's own, by the names that they have there. */
function identitySequences(records: readonly TableRecord[]): Record<string, string> {
  return Object.fromEntries(records.filter(({ state }) => state !== 'NOT_STARTED').flatMap((record) => (detailsOf(record).translation?.columns ?? []).flatMap(({ sequence }) => (sequence === undefined ? [] : [[relationKey(sequence.schema, sequence.name), relationKey(record.source.schema, record.source.name)]]))));
}

/** What is known for translators, by key in the snapshot. */
export function migratedTables(records: readonly TableRecord[]): ReadonlyMap<string, MigratedTable> {
  return new Map(records.flatMap((record) => {
    const { translation } = detailsOf(record);
    return translation === undefined ? [] : routedKeys(record).map((key) => [key, translation] as const);
  }));
}
