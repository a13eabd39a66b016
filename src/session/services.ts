/** What every session of a gateway shares, handed in by whoever starts the gateway. */
import type { QualifiedName, RoutingSnapshot, Side } from '../../catalog/routing-snapshot.ts';
import type { Runtime } from '../../config/runtime.ts';
import type { TableName } from '../../grammar/names.ts';
import type { NamePlace } from '../../grammar/sql/name-places.ts';
import type { QueryUses } from '../../grammar/sql/relation-uses.ts';
import type { RelationRef, TextFacts } from '../../grammar/sql/statement-facts.ts';
import type { NamingContext, Route, SessionContext } from '../route/route.ts';
import { isRenamed } from '../route/snapshot-index.ts';
import type { LargeBuffers } from '../wire/socket-input.ts';
import type { ControlPort } from './control-port.ts';
import type { LegTarget } from './leg-target.ts';
import type { MysqlReach } from './mysql-tables/mysql-reach.ts';
import type { ObjectNumbers } from './object-numbers.ts';
import type { ShadowPort } from './shadow/shadow-port.ts';
import type { Pools } from './pool/pools.ts';
import type { MarkedRowsPort } from './two-phase/marked-rows-port.ts';
import type { UnitTimes } from './unit-times.ts';

export interface FactsLookup {
  /**
   * Facts of the SQL text that stands at buffer[start, end), UTF-8, without its zero byte; the same object for the same text. A promise
   * (which resolves always) for a text that is read elsewhere because of its size. Must not keep the buffer.
   */
  facts(buffer: Buffer, start: number, end: number): TextFacts | Promise<TextFacts>;
  /** Where the text names relations; undefined (at once or later) when it cannot be read at the moment. */
  places(text: string): readonly NamePlace[] | Promise<readonly NamePlace[] | undefined>;
  /** How the text uses the relations that it reads; as `places`. */
  uses(text: string): QueryUses | Promise<QueryUses | undefined>;
  /** Of the only statement of a text, as the parser reads it; null where there is not one. Undefined for one that is too large, or cannot be read at the moment. */
  statementTree(text: string): unknown;
}

export interface RouteDecider {
  decide(facts: TextFacts, snapshot: RoutingSnapshot, context: SessionContext): Route;
  /** Of a query of system catalogs, once its parameters are known, as text. */
  catalogRoute(facts: TextFacts, snapshot: RoutingSnapshot, context: SessionContext, parameters: readonly (string | undefined)[]): Route;
  /** The name on local of what a name stands for; undefined when it has no other one there. */
  localName(relation: RelationRef, snapshot: RoutingSnapshot, context: NamingContext): QualifiedName | undefined;
  /** The key of what a name stands for, and its name on each side; undefined for a system relation. */
  placed(relation: RelationRef, snapshot: RoutingSnapshot, context: NamingContext): { readonly key: string; readonly source: TableName; readonly local: TableName } | undefined;
  /** Equal paths become the same object. */
  searchPath(schemas: readonly string[]): readonly string[];
}

/** Where a client's leg goes, and with which credentials. */
export interface LegConnector {
  /** Throws a MigrationError when the client's user or database has no counterpart on that side. */
  target(side: Side, login: { readonly user: string; readonly database: string }): LegTarget;
}

/** The position that the source has reached, asked for many sessions at once. `callback` gets undefined when it cannot be had. */
export interface SourcePosition {
  fetch(callback: (lsn: bigint | undefined) => void): void;
}

export interface GatewayLimits {
  readonly maxConnections: number;
  /** Of these, for operators only. */
  readonly reservedConnections: number;
  /** Longest wait of a client for a place within its user's and database's limit. */
  readonly connectionWaitMs: number;
  /** A session in which nothing is open, and a transaction, are ended when nothing has come for so long; 0: never. */
  readonly clientIdleMs: number;
  readonly idleTransactionMs: number;
  /** From the accepted socket to the end of authentication. */
  readonly startupTimeoutMs: number;
  readonly legConnectTimeoutMs: number;
  /** Largest Query, Parse, Bind … that is held whole. CopyData and rows are streamed. */
  readonly maxMessageBytes: number;
  /** Texts of named prepared statements kept per session. */
  readonly maxStatementBytes: number;
  /** Input of a waiting session that is read ahead before its socket is paused. */
  readonly readAheadBytes: number;
  /** Rows that are brought from one side to the other for one statement, in bytes. */
  readonly maxMovedBytes: number;
  /** Of those, so many are written into the statement; more go into a temporary table, which costs some milliseconds and rows in the catalog. */
  readonly maxInlineBytes: number;
  /** From so many rows on that would be brought it is asked first which keys they need to have. */
  readonly linkFromRows: number;
  /** Longest wait of a COMMIT until local shows it, and of a read until local has caught up. */
  readonly visibilityWaitMs: number;
  /** Longest wait for a barrier. */
  readonly parkLimitMs: number;
  /** Shadow reads: those that wait for local or are compared, and those of them that are compared at once. */
  readonly shadowQueue: number;
  readonly shadowConcurrency: number;
  /** Largest answer that is compared, in bytes of rows. */
  readonly maxShadowBytes: number;
  /** Longest run of one when it is asked again. */
  readonly shadowTimeoutMs: number;
  /** Statements whose outcomes are remembered. */
  readonly shadowStatements: number;
}

export const defaultLimits: GatewayLimits = {
  maxConnections: 10_000,
  reservedConnections: 0,
  connectionWaitMs: 120_000,
  clientIdleMs: 0,
  idleTransactionMs: 0,
  startupTimeoutMs: 30_000,
  legConnectTimeoutMs: 10_000,
  maxMessageBytes: 1 << 29,
  maxStatementBytes: 64 << 20,
  readAheadBytes: 256 << 10,
  maxMovedBytes: 1 << 30,
  maxInlineBytes: 256 << 10,
  linkFromRows: 2_000,
  visibilityWaitMs: 10_000,
  parkLimitMs: 60_000,
  shadowQueue: 100,
  shadowConcurrency: 2,
  maxShadowBytes: 1 << 20,
  shadowTimeoutMs: 10_000,
  shadowStatements: 200,
};

/** What the hot path asks about the snapshot, worked out once per snapshot. */
export interface SnapshotView {
  readonly snapshot: RoutingSnapshot;
  /** No migrated table: everything goes raw to the home leg. */
  readonly trivial: boolean;
  /** Some table is read or written elsewhere than on the source. */
  readonly usesLocal: boolean;
  /** Some table has another name on local. */
  readonly renames: boolean;
  /** Rows of some table go to local with their commit. */
  readonly marksRows: boolean;
  /** By its name on local. */
  sourceName(local: QualifiedName): QualifiedName;
}

export interface Services {
  readonly runtime: Runtime;
  readonly control: ControlPort;
  readonly facts: FactsLookup;
  readonly routes: RouteDecider;
  readonly legs: LegConnector;
  readonly sourcePosition: SourcePosition;
  /** Left out: both sides have the same numbers. */
  readonly numbers: ObjectNumbers | undefined;
  /** Left out: no table is on a MySQL server. */
  readonly mysql: MysqlReach | undefined;
  readonly limits: GatewayLimits;
  readonly times: UnitTimes;
  /** What all legs of the process read large answers into. */
  readonly readBuffers: LargeBuffers;
  readonly shadow: ShadowPort;
  /** Connections that sessions share. */
  readonly pools: Pools;
  /** Left out: every dual-written COMMIT waits for the stream. */
  readonly markedRows: MarkedRowsPort | undefined;
  view(): SnapshotView;
}

export function viewOf(snapshot: RoutingSnapshot): SnapshotView {
  const routes = Object.values(snapshot.tables);
  return {
    snapshot,
    trivial: routes.length === 0,
    renames: routes.some(isRenamed),
    marksRows: routes.some(({ markable }) => markable !== undefined),
    sourceName: (name) => routes.find(({ local }) => local.schema === name.schema && local.name === name.name)?.source ?? name,
    usesLocal: routes.some((route) => route.reads === 'local' || route.writes === 'local' || route.door !== undefined),
  };
}
