/**
 * A session's prepared statements, by the server's ids: where they go is asked again at each execution, and one that goes to local needs what the client
 * has said of its parameters, wherever the executions before have gone.
 */
import { MigrationError } from '../../../config/migration-error.ts';
import { LAST_PREPARED } from '../../wire/mysql/statement-packets.ts';
import type { ParameterType } from '../../wire/mysql/statement-packets.ts';

export interface PreparedText {
  readonly text: string;
  /** How many it has. */
  readonly parameters: number;
  /** Of the last execution that has told them. */
  types: readonly ParameterType[] | undefined;
  /** Values that have come in pieces, for the next execution, by the parameter's place. */
  readonly long: Map<number, Buffer[]>;
}

export class PreparedTexts {
  readonly #texts = new Map<number, PreparedText>();
  #characters = 0;
  #longBytes = 0;
  #last = 0;

  get size(): number {
    return this.#texts.size;
  }

  /** Why one more would be too many; undefined when it is not. */
  refusal(text: string, limit: number): MigrationError | undefined {
    if (this.#characters + text.length <= limit) return undefined;
    return new MigrationError('MIG085', 'the session keeps too many prepared statements', { detail: `Their texts may take ${limit} bytes.`, hint: 'Close statements that are no longer used.' });
  }

  add(id: number, text: string, parameters: number): void {
    this.#forget(id);
    this.#texts.set(id, { text, parameters, types: undefined, long: new Map() });
    this.#characters += text.length;
    this.#last = id;
  }

  /** Of a command with a statement's id; undefined for one that the server does not know either. */
  ofCommand(payload: Buffer): PreparedText | undefined {
    if (payload.length < 5) return undefined;
    const id = payload.readUInt32LE(1);
    return this.#texts.get(id === LAST_PREPARED ? this.#last : id);
  }

  /** A piece of a value. False: there is no more room for such. */
  addLong({ long }: PreparedText, parameter: number, data: Buffer, limit: number): boolean {
    if (this.#longBytes + data.length > limit) return false;
    this.#longBytes += data.length;
    const pieces = long.get(parameter);
    if (pieces) pieces.push(Buffer.from(data));
    else long.set(parameter, [Buffer.from(data)]);
    return true;
  }

  /** It has been executed, or reset. */
  dropLong({ long }: PreparedText): void {
    for (const pieces of long.values()) for (const piece of pieces) this.#longBytes -= piece.length;
    long.clear();
  }

  closed(payload: Buffer): void {
    if (payload.length >= 5) this.#forget(payload.readUInt32LE(1));
  }

  clear(): void {
    this.#texts.clear();
    this.#characters = 0;
    this.#longBytes = 0;
  }

  #forget(id: number): void {
    const known = this.#texts.get(id);
    if (!known) return;
    this.dropLong(known);
    this.#characters -= known.text.length;
    this.#texts.delete(id);
  }
}
