/**
 * In which order vitest takes the files of a project: those that share the run's two Cassandra clusters (`cassandra-keeper.ts`) one after the other, so that the clusters
 * start once for them, which is 15 seconds of a core, and not for each. Otherwise as ever: those that failed or took long first.
 */
import * as fs from 'node:fs';
import { BaseSequencer } from 'vitest/node';
import type { TestSpecification } from 'vitest/node';

const sharesClusters = /\b(?:sharedCassandra|describeCassandra)\b|\/(?:cql-ways|two-clusters-fixture)\.ts'/;

export class FileOrder extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    return clustersFirst(await super.sort(files), ({ moduleId }) => fs.readFileSync(moduleId, 'utf8'));
  }
}

/** Keeps the order of each of the two parts. */
export function clustersFirst<File>(files: readonly File[], textOf: (file: File) => string): File[] {
  const isOfClusters = new Map(files.map((file) => [file, sharesClusters.test(textOf(file))]));
  return [...files.filter((file) => isOfClusters.get(file)), ...files.filter((file) => !isOfClusters.get(file))];
}
