/** Texts of a session's prepared statements, by the server's ids: where they go is asked again at each execution. */
import { MigrationError } from '../../../config/migration-error.ts';
import { LAST_PREPARED } from '../../wire/mysql/statement-packets.ts';

export class PreparedTexts {
  readonly #texts = new Map<number, string>();
  #characters = 0;
  #last = 0;

  /** Why one more would be too many; undefined when it is not. */
  refusal(text: string, limit: number): MigrationError | undefined {
    if (this.#characters + text.length <= limit) return undefined;
    return new MigrationError('MIG085', 'the session keeps too many prepared statements', { detail: `Their texts may take ${limit} bytes.`, hint: 'Close statements that are no longer used.' });
  }

  add(id: number, text: string): void {
    this.#forget(id);
    this.#texts.set(id, text);
    this.#characters += text.length;
    this.#last = id;
  }

  /** Of a command with a statement's id; undefined for one that the server does not know either. */
  ofCommand(payload: Buffer): string | undefined {
    if (payload.length < 5) return undefined;
    const id = payload.readUInt32LE(1);
    return this.#texts.get(id === LAST_PREPARED ? this.#last : id);
  }

  closed(payload: Buffer): void {
    if (payload.length >= 5) this.#forget(payload.readUInt32LE(1));
  }

  clear(): void {
    this.#texts.clear();
    this.#characters = 0;
  }

  #forget(id: number): void {
    this.#characters -= this.#texts.get(id)?.length ?? 0;
    this.#texts.delete(id);
  }
}
