/** In place of a stream from local to MySQL: it never runs, carries nothing, and says so whenever it is asked to. */
import { MigrationError } from '../../config/migration-error.ts';
import type { SavedPositions, StreamHealth } from '../ports.ts';
import type { OpenedStream } from '../stream/change-stream.ts';

export function noWayBack(): MigrationError {
  return new MigrationError('MIG061', 'changes are not carried from local to MySQL', { hint: 'CUTOVER TABLE … NO ROLLBACK gives up the way back.' });
}

const refused = (): Promise<never> => Promise.reject(noWayBack());
const done = (): Promise<void> => Promise.resolve();

export class NoWayBack implements OpenedStream {
  readonly name: string;
  readonly run = refused;
  readonly prepare = refused;
  readonly addTable = refused;
  readonly startDraining = refused;
  readonly pauseTable = refused;
  readonly replan = refused;
  readonly skipFailedChange = refused;
  readonly writeMarker = refused;
  readonly waitForMarker = refused;
  readonly openInterval = refused;
  readonly closeInterval = refused;
  readonly startFromSnapshot = refused;
  readonly installDdlLog = refused;
  readonly removeTable = done;
  readonly drop = done;
  readonly close = done;

  constructor(name: string) {
    this.name = name;
  }

  restore(): void {}

  setServed(): void {}

  status(): undefined {
    return undefined;
  }

  onVisible(): () => void {
    return () => undefined;
  }

  health(): StreamHealth {
    return { connected: false, lastError: undefined, blockedBy: undefined, durable: undefined, visible: undefined, resume: undefined, spoolBytes: 0, retainedBytes: undefined };
  }

  savedPositions(): SavedPositions {
    throw noWayBack();
  }
}
