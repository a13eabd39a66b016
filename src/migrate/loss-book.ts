/** What streams and loads have counted and the catalog does not have yet. */
export interface LossBook {
  /** All that was counted before is on record. */
  save(): Promise<void>;
  /** The table begins anew. */
  forget(tableId: string): void;
}

/** Of a source whose values all fit. */
export const noLosses: LossBook = { save: () => Promise.resolve(), forget: () => undefined };
