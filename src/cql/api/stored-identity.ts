/** Name and data centre of the source, kept for the day on which it is gone: drivers that run go on taking the proxy for their cluster. */
import * as fs from 'node:fs';
import type { Log } from '../../../config/runtime.ts';
import type { ClusterIdentity, IdentityPort } from '../proxy-options.ts';
import { writeDurably } from './write-durably.ts';

export class StoredIdentity implements IdentityPort {
  readonly #file: string;
  readonly #log: Log;
  #known: ClusterIdentity | undefined;

  constructor(file: string, log: Log) {
    this.#file = file;
    this.#log = log;
    this.#known = this.#read();
  }

  get known(): ClusterIdentity | undefined {
    return this.#known;
  }

  /** Clients wait for no disk: what cannot be kept is told, and the proxy serves. */
  note({ clusterName, dataCenter }: ClusterIdentity): void {
    if (this.#known?.clusterName === clusterName && this.#known.dataCenter === dataCenter) return;
    this.#known = { clusterName, dataCenter };
    try {
      writeDurably(this.#file, `${JSON.stringify(this.#known)}\n`);
    } catch (error) {
      this.#log.warn('name and data centre of the source cannot be kept: before it goes for good, set cluster_name and data_center of cql.topology', { cause: String(error) });
    }
  }

  /** A file that says nothing is none: the source is asked, or the settings say it. */
  #read(): ClusterIdentity | undefined {
    if (!fs.existsSync(this.#file)) return undefined;
    try {
      const { clusterName, dataCenter } = JSON.parse(fs.readFileSync(this.#file, 'utf8')) as Partial<ClusterIdentity>;
      if (typeof clusterName === 'string' && clusterName !== '' && typeof dataCenter === 'string' && dataCenter !== '') return { clusterName, dataCenter };
      throw new TypeError('expected clusterName and dataCenter');
    } catch (error) {
      this.#log.warn('what is kept of the source cannot be read', { file: this.#file, cause: String(error) });
      return undefined;
    }
  }
}
