/** The key of a table whose written keys are asked for: the proxy itself knows no schema, so whoever asks says it. */

export interface KeyColumn {
  readonly name: string;
  /** As `system_schema` writes it. */
  readonly type: string;
}

export interface KeyedTable {
  readonly keyspace: string;
  readonly table: string;
  readonly partitionKey: readonly KeyColumn[];
  readonly clustering: readonly KeyColumn[];
}

/** What a write may have changed: a row; with fewer clustering values than the table has, all rows that begin with these and the static columns; or the static columns alone. */
export interface WrittenKey {
  readonly partitionKey: readonly Buffer[];
  readonly clustering: readonly Buffer[];
  readonly isStaticOnly: boolean;
}

/** The same for the same key, and of nothing else. */
export function nameOfKey({ partitionKey, clustering, isStaticOnly }: WrittenKey): string {
  const text = (values: readonly Buffer[]): string => values.map((value) => `${value.length}:${value.toString('latin1')}`).join('');
  return `${isStaticOnly ? 's' : 'r'}${text(partitionKey)}/${text(clustering)}`;
}
