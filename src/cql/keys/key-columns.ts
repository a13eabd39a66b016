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
  let name = isStaticOnly ? 's' : 'r';
  for (const value of partitionKey) name += `${value.length}:${value.toString('latin1')}`;
  name += '/';
  for (const value of clustering) name += `${value.length}:${value.toString('latin1')}`;
  return name;
}

/** A key whose values stand in a buffer that is used again, as one that may be kept. */
export function copyKey({ partitionKey, clustering, isStaticOnly }: WrittenKey): WrittenKey {
  const copy = (bytes: Buffer): Buffer => Buffer.from(bytes);
  return { partitionKey: partitionKey.map(copy), clustering: clustering.map(copy), isStaticOnly };
}
