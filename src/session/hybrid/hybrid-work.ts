/** What is known of one hybrid statement while its rows are brought, and how it is refused. */
import type { RoutingSnapshot, Side } from '../../../catalog/routing-snapshot.ts';
import { MigrationError } from '../../../config/migration-error.ts';
import type { RenamedText } from '../../../grammar/sql/rename-relations.ts';
import type { TextFacts } from '../../../grammar/sql/statement-facts.ts';
import type { HybridWay, Route } from '../../route/route.ts';
import { readErrorFields } from '../../wire/error-fields.ts';
import type { ErrorFields } from '../../wire/error-fields.ts';
import { errorFieldsOf } from '../client-error.ts';
import type { TemporaryTables } from './choose-way.ts';
import type { KnownColumns } from './describe-relations.ts';
import type { BoundParameter } from '../../wire/bind-parameters.ts';

export type HybridRoute = Extract<Route, { type: 'hybrid' }>;

export interface HybridReady {
  readonly way: HybridWay;
  readonly text: RenamedText;
  /** The rows stand in the text. */
  readonly isInline: boolean;
  /** Made for this statement, outside a block: to be dropped after it. */
  readonly tables: readonly string[];
  /** On that side's leg, for a Bind. */
  readonly statement?: string;
}

/** What the client is told in place of an answer. */
export class HybridRefusal extends Error {
  readonly fields: ErrorFields;

  constructor(fields: ErrorFields) {
    super(fields.message);
    this.fields = fields;
  }
}

/** A statement that is run by name: it is prepared anew with its rows, under a name of the gateway's own. */
export interface ByName {
  /** As the client calls it. */
  readonly name: string;
  /** The EXECUTE, or what has one in it; undefined for a Bind. */
  readonly text: Buffer | undefined;
  /** A new name on that side. */
  readonly newName: (side: Side) => string;
}

export interface HybridWork {
  readonly route: HybridRoute;
  /** A copy of the client's, or of its PREPARE. */
  readonly text: Buffer;
  readonly byName: ByName | undefined;
  /** For a text that has taken its place. */
  readonly routeOf: (facts: TextFacts) => Route;
  readonly snapshot: RoutingSnapshot;
  readonly temporary: TemporaryTables;
  readonly known: KnownColumns;
  readonly parameters: readonly (BoundParameter | undefined)[];
  /** Only what the statement looks like is asked for: no rows. */
  readonly isShape: boolean;
  canceled: boolean;
}

/** A server's error in the gateway's own query; its place in that means nothing to the client, `position` is one in its own text. */
export function serverRefusal(error: Buffer, position?: number): HybridRefusal {
  const fields = readErrorFields(error, 0, error.length);
  return new HybridRefusal({ severity: 'ERROR', sqlstate: fields.get('C') ?? 'XX000', message: fields.get('M') ?? '', detail: fields.get('D'), hint: fields.get('H'), schema: fields.get('s'), table: fields.get('t'), position });
}

export function refusal(message: string, detail: string, hint: string): HybridRefusal {
  return new HybridRefusal(errorFieldsOf(new MigrationError('MIG080', message, { detail, hint })));
}
