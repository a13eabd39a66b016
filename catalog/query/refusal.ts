/** A query that cannot be answered; becomes a MigrationError with a position once the text is known. */
export class Refusal extends Error {
  /** UTF-8 byte offset in the text, as the grammar gives it. */
  readonly byteOffset: number | undefined;
  readonly hint: string | undefined;

  constructor(message: string, byteOffset?: number, hint?: string) {
    super(message);
    this.byteOffset = byteOffset;
    this.hint = hint;
  }
}

export function refuse(message: string, byteOffset?: number, hint?: string): never {
  throw new Refusal(message, byteOffset, hint);
}
