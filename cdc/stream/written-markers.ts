/** Markers that this stream has written, and what had been read again by then: a row that was read again after its marker was written is newer than it (RULES 1). */
import { randomUUID } from 'node:crypto';
import type { Position } from '../change.ts';
import type { StreamState } from './stream-state.ts';

const REMEMBERED = 1000;

export class WrittenMarkers {
  readonly #state: StreamState;
  readonly #writtenAt = new Map<string, ReadonlyMap<string, number>>();

  constructor(state: StreamState) {
    this.#state = state;
  }

  async write(): Promise<string> {
    const token = randomUUID();
    this.#writtenAt.set(token, new Map([...this.#state.entries].map(([tableId, entry]) => [tableId, entry.rereadsDone])));
    for (const old of this.#writtenAt.keys()) {
      if (this.#writtenAt.size <= REMEMBERED) break;
      this.#writtenAt.delete(old);
    }
    await this.#state.source.writeMarker(this.#state.options.name, token);
    return token;
  }

  async wait(token: string, tableIds: readonly string[], timeoutMs: number, signal?: AbortSignal): Promise<Position> {
    const { clock } = this.#state.runtime;
    const until = clock.monotonicMs() + timeoutMs;
    const position = await this.#state.markers.wait(token, tableIds, timeoutMs, signal);
    let written = this.#writtenAt.get(token);
    // Only a later marker proves that a row which was read again is passed.
    while (written && tableIds.some((tableId) => (this.#state.entries.get(tableId)?.rereadsDone ?? 0) > (written?.get(tableId) ?? 0))) {
      const again = await this.write();
      await this.#state.markers.wait(again, tableIds, Math.max(1, until - clock.monotonicMs()), signal);
      written = this.#writtenAt.get(again);
    }
    return position;
  }
}
