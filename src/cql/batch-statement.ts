/** A BATCH frame: its children by what they write, and its bytes for a cluster, with that cluster's ids and without the children that it does not get. */
import { findBatch } from '../wire/cql/request-body.ts';
import type { BatchPlaces } from '../wire/cql/request-body.ts';
import { planOf } from './modes.ts';
import type { ClusterIndex, ModeTable, Plan } from './modes.ts';
import { ID_BYTES } from './prepared-registry.ts';
import type { PreparedEntry, PreparedRegistry } from './prepared-registry.ts';
import type { ReadTexts, StatementTraits } from './statement-traits.ts';

export interface BatchPart {
  readonly traits: StatementTraits;
  /** Undefined for a text. */
  readonly entry: PreparedEntry | undefined;
  readonly keyspace: string;
  readonly table: string;
  readonly plan: Plan;
}

export class BatchStatement {
  readonly places: BatchPlaces;
  readonly parts: readonly BatchPart[];
  /** Children that the shadow does not get, by their modes or the filter's rule. */
  readonly withoutShadow = new Set<number>();

  constructor(places: BatchPlaces, parts: readonly BatchPart[], withoutShadow?: ReadonlySet<number>) {
    this.places = places;
    this.parts = parts;
    for (const index of withoutShadow ?? []) this.withoutShadow.add(index);
    parts.forEach(({ plan }, index) => {
      if (plan.shadow === undefined) this.withoutShadow.add(index);
    });
  }

  /** The same in another frame. */
  at(places: BatchPlaces): BatchStatement {
    return new BatchStatement(places, this.parts, this.withoutShadow);
  }

  get isConditional(): boolean {
    return this.parts.some(({ traits }) => traits.facts.isConditional);
  }

  /** A child that was not understood may be anything. */
  get isUnknown(): boolean {
    return this.parts.some(({ traits }) => traits.facts.kind === 'unknown');
  }

  get isUnrepeatable(): boolean {
    return this.parts.some(({ traits, entry }) => (entry ? entry.isUnrepeatable : traits.isUnrepeatable));
  }

  /** The first of the children that this cluster gets which it has not been asked to prepare yet: one that it does not get may be of a table that it does not have. */
  unpreparedOn(cluster: ClusterIndex, isShadow: boolean): PreparedEntry | undefined {
    return this.parts.find(({ entry }, index) => entry && !entry.ids[cluster] && !(isShadow && this.withoutShadow.has(index)))?.entry;
  }

  /** The plan of the whole: of one cluster that is written first; the other gets the children that are its. A text when there is none. */
  plan(modes: ModeTable): Plan | string {
    const [first] = this.parts;
    if (!first) return planOf(modes, '', '');
    const other = this.parts.find(({ plan }) => plan.primary !== first.plan.primary);
    if (other) return `a batch cannot write ${first.keyspace}.${first.table} (mode ${first.plan.mode}) and ${other.keyspace}.${other.table} (mode ${other.plan.mode}), whose primary clusters are not the same`;
    return (this.parts.find(({ plan }) => plan.isSync) ?? this.parts.find(({ plan }) => plan.shadow !== undefined) ?? first).plan;
  }

  /** Bytes of the body as this cluster gets it. Every child must be prepared there. */
  bodyFor(cluster: ClusterIndex, isShadow: boolean, frame: Buffer, end: number): Buffer {
    return this.#body(frame, end, isShadow, (entry) => entry.ids[cluster]);
  }

  /** The part of it that both clusters shall have, under the proxy's ids: what the log keeps. */
  sharedBody(frame: Buffer, end: number): Buffer {
    return this.#body(frame, end, true, ({ id }) => id);
  }

  /** Of the shared part's prepared children, in their order. */
  get sharedEntries(): readonly PreparedEntry[] {
    return this.parts.flatMap(({ entry }, index) => (entry && !this.withoutShadow.has(index) ? [entry] : []));
  }

  #body(frame: Buffer, end: number, isShared: boolean, idOf: (entry: PreparedEntry) => Buffer | undefined): Buffer {
    const { places, parts } = this;
    const head = Buffer.alloc(3);
    head[0] = places.type;
    head.writeUInt16BE(parts.length - (isShared ? this.withoutShadow.size : 0), 1);
    const pieces: Buffer[] = [head];
    parts.forEach(({ entry }, index) => {
      const child = places.children[index];
      if (!child || (isShared && this.withoutShadow.has(index))) return;
      if (!entry) {
        pieces.push(frame.subarray(child.at - 5, child.end));
        return;
      }
      const id = idOf(entry);
      if (!id) throw new Error('a statement of a batch is not prepared');
      pieces.push(Buffer.from([1, id.length >> 8, id.length & 0xff]), id, frame.subarray(child.at + child.bytes, child.end));
    });
    pieces.push(frame.subarray(places.consistencyAt, end));
    return Buffer.concat(pieces);
  }
}

/** The key of the first prepared child that the proxy does not know. */
export interface UnknownChild {
  readonly unknownId: Buffer;
}

/** Two tables of the batch that no one plan holds for. */
export interface NoPlan {
  readonly reason: string;
}

export function readBatch(frame: Buffer, messageAt: number, end: number, keyspaceInUse: string, modes: ModeTable, registry: PreparedRegistry, texts: ReadTexts, version = 4): BatchStatement | UnknownChild | NoPlan {
  const places = findBatch(frame, messageAt, end, version);
  const parts: BatchPart[] = [];
  for (const { at, bytes, isPrepared } of places.children) {
    if (isPrepared) {
      const entry = bytes === ID_BYTES ? registry.find(frame.toString('latin1', at, at + bytes)) : undefined;
      if (!entry) return { unknownId: Buffer.from(frame.subarray(at, at + bytes)) };
      const plan = entry.planIn(modes);
      if (typeof plan === 'string') return { reason: plan };
      parts.push({ traits: entry.traits, entry, keyspace: entry.tableKeyspace, table: entry.traits.table, plan });
    } else {
      const traits = texts.read(frame.toString('utf8', at, at + bytes));
      const keyspace = traits.keyspace === '' ? keyspaceInUse : traits.keyspace;
      parts.push({ traits, entry: undefined, keyspace, table: traits.table, plan: planOf(modes, keyspace, traits.table) });
    }
  }
  return new BatchStatement(places, parts);
}
