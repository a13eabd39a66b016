/** Asks all connected gateway workers what they have, and puts up with one that does not answer. */
import type { ControlMessage } from './fleet-messages.ts';
import type { WorkerFleet } from './worker-fleet.ts';
import type { WorkerSurvey } from './worker-survey.ts';

export interface FleetAnswer {
  readonly surveys: readonly (WorkerSurvey & { readonly workerId: string })[];
  /** Workers that are connected and have not answered in time. */
  readonly unheard: number;
}

interface Asked {
  readonly surveys: Map<string, WorkerSurvey>;
  readonly expected: number;
  readonly done: () => void;
}

const WAIT_MS = 2_000;

export class FleetSurvey {
  readonly #fleet: Pick<WorkerFleet, 'size' | 'broadcast'>;
  readonly #open = new Map<number, Asked>();
  #nextId = 1;

  constructor(fleet: Pick<WorkerFleet, 'size' | 'broadcast'>) {
    this.#fleet = fleet;
  }

  /** `shadowReads`: what comparing reads has found, too. */
  async ask(shadowReads = false): Promise<FleetAnswer> {
    const id = this.#nextId++;
    const expected = this.#fleet.size;
    const surveys = new Map<string, WorkerSurvey>();
    if (expected > 0) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, WAIT_MS);
        const done = (): void => {
          clearTimeout(timer);
          resolve();
        };
        this.#open.set(id, { surveys, expected, done });
        const request: ControlMessage = { type: 'survey_request', id, ...(shadowReads ? { shadowReads } : {}) };
        this.#fleet.broadcast(request);
      });
    }
    this.#open.delete(id);
    return { surveys: [...surveys].map(([workerId, survey]) => ({ workerId, ...survey })), unheard: Math.max(0, expected - surveys.size) };
  }

  receive(workerId: string, id: number, survey: WorkerSurvey): void {
    const asked = this.#open.get(id);
    if (!asked) return;
    asked.surveys.set(workerId, survey);
    if (asked.surveys.size >= asked.expected) asked.done();
  }
}
