/** What a session is made of besides its legs. */
import type { Segment } from '../execute/segment.ts';
import type { Leg } from './leg.ts';

/** The extended-protocol messages since the last Sync. */
export interface Unit {
  leg: Leg | undefined;
  segment: Segment | undefined;
  /** Something was bound or executed on the leg: the implicit transaction cannot change legs any more. */
  executed: boolean;
  wrote: boolean;
  /** An error was answered: everything up to Sync is dropped. */
  skipping: boolean;
}

export interface ClientIdentity {
  readonly sessionId: string;
  readonly user: string;
  readonly database: string;
  readonly address: string;
  /** The client's own start-up parameters, `user` and `database` left out. */
  readonly startup: ReadonlyMap<string, string>;
}
