/**
 * A worker's questions to the control when local shows what the MySQL server has committed by now. What is asked in one turn of the loop is one question. The control
 * may be another one before it answers: then it is asked again, which is never too early an answer.
 */
interface Question {
  readonly tables: Set<string>;
  readonly callbacks: Set<() => void>;
}

export class CaughtUpQuestions {
  readonly #send: (id: number, tables: readonly string[]) => void;
  readonly #asked = new Map<number, Question>();
  #gathering: Question | undefined;
  #nextId = 1;

  /** `send` may lose it while there is no control: `connected` sends it again. */
  constructor(send: (id: number, tables: readonly string[]) => void) {
    this.#send = send;
  }

  /** Never calls back from within; returns a cancel function. */
  ask(tables: readonly string[], callback: () => void): () => void {
    const question = (this.#gathering ??= this.#gather());
    for (const table of tables) question.tables.add(table);
    // Its own, so that two that hand in the same function are two.
    const told = (): void => callback();
    question.callbacks.add(told);
    return () => void question.callbacks.delete(told);
  }

  connected(): void {
    for (const [id, { tables }] of this.#asked) this.#send(id, [...tables]);
  }

  answered(id: number): void {
    const question = this.#asked.get(id);
    this.#asked.delete(id);
    for (const callback of question?.callbacks ?? []) callback();
  }

  #gather(): Question {
    setImmediate(() => {
      const question = this.#gathering;
      this.#gathering = undefined;
      // Questions that nobody waits for any more are not kept.
      for (const [id, { callbacks }] of this.#asked) if (callbacks.size === 0) this.#asked.delete(id);
      if (!question || question.callbacks.size === 0) return;
      const id = this.#nextId++;
      this.#asked.set(id, question);
      this.#send(id, [...question.tables]);
    });
    return { tables: new Set(), callbacks: new Set() };
  }
}
