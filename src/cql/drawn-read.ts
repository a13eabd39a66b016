/** A read that was drawn for the sample, as it came, and who takes it. */
import type { PreparedEntry } from './prepared-registry.ts';
import type { StatementTraits } from './statement-traits.ts';

export interface DrawnRead {
  readonly buffer: Buffer;
  readonly messageAt: number;
  readonly end: number;
  readonly opcode: number;
  readonly version: number;
  readonly keyspace: string;
  readonly entry: PreparedEntry | undefined;
  readonly traits: StatementTraits;
}

export interface ReadSampling {
  /** Whether this read is one of the sample. */
  readonly draws: boolean;
  /** Copies what it needs. */
  take(read: DrawnRead): void;
  close(): void;
}
