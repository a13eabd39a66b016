/** What goes wrong on purpose, and with which requests. */
import type { opcodes } from './frames.ts';

export type Opcode = keyof typeof opcodes;

export type FaultAction =
  /** Done and answered later. */
  | { readonly kind: 'delay'; readonly ms: number }
  /** Neither done nor answered. */
  | { readonly kind: 'drop' }
  /** Done, and never answered. */
  | { readonly kind: 'lose' }
  /** Not done. */
  | { readonly kind: 'error'; readonly code: number; readonly message?: string }
  /** Done, and an error answered all the same: a timeout. */
  | { readonly kind: 'done-but-error'; readonly code: number; readonly message?: string }
  /** Not done, and answered as if it were: what a node loses without a word. */
  | { readonly kind: 'pretend' }
  /** Done, and answered with a result of rows that ends within its first column. */
  | { readonly kind: 'damage' }
  /** EXECUTE and BATCH: the ids are forgotten before. */
  | { readonly kind: 'unprepared' }
  /** `before`: not done. `after`: done, no byte of the answer is sent. `mid-frame`: done, half of the answer is sent. */
  | { readonly kind: 'disconnect'; readonly when: 'before' | 'after' | 'mid-frame' };

export interface Fault {
  readonly opcode?: Opcode;
  /** The statement's text; of a batch, of any of its statements. */
  readonly text?: RegExp;
  /** Only what writes rows. */
  readonly isWrite?: boolean;
  /** So many matching requests go well first. */
  readonly skip?: number;
  /** So many are hit then; 1 when not said. */
  readonly times?: number;
  /** 0 to 1, of those that are to be hit. */
  readonly chance?: number;
  readonly action: FaultAction;
}

export interface RequestTraits { readonly opcode: Opcode; readonly text: string; readonly isWrite: boolean }

export class Faults {
  readonly #active = new Map<Fault, { left: number; skip: number; hits: number }>();
  readonly #random: () => number;

  constructor(random: () => number) {
    this.#random = random;
  }

  /** `hits` counts; `[Symbol.dispose]` ends it. */
  add(fault: Fault): Disposable & { readonly hits: number } {
    const state = { left: fault.times ?? 1, skip: fault.skip ?? 0, hits: 0 };
    this.#active.set(fault, state);
    return { get hits() { return state.hits; }, [Symbol.dispose]: () => void this.#active.delete(fault) };
  }

  clear(): void {
    this.#active.clear();
  }

  /** The first fault that this request meets. */
  find(request: RequestTraits): FaultAction | undefined {
    for (const [fault, state] of this.#active) {
      if (state.left <= 0 || (fault.opcode !== undefined && fault.opcode !== request.opcode) || (fault.isWrite === true && !request.isWrite) || fault.text?.test(request.text) === false) continue;
      if (state.skip > 0) {
        state.skip -= 1;
        continue;
      }
      if (fault.chance !== undefined && this.#random() >= fault.chance) continue;
      state.left -= 1;
      state.hits += 1;
      return fault.action;
    }
    return undefined;
  }
}
