/**
 * MariaDB's positions: the last transaction of each domain, `domain-server-sequence`, as in `gtid_slave_pos`.
 * https://mariadb.com/kb/en/gtid/ — within a domain the sequence grows; domains are not ordered among each other.
 */
export interface MariadbGtid {
  readonly domain: number;
  readonly server: number;
  readonly sequence: bigint;
}

export class MariadbGtidList {
  readonly #last = new Map<number, MariadbGtid>();

  static parse(text: string): MariadbGtidList {
    const list = new MariadbGtidList();
    for (const part of text.split(',').map((one) => one.trim()).filter((one) => one !== '')) {
      const [, domain, server, sequence] = /^(\d{1,10})-(\d{1,10})-(\d{1,20})$/.exec(part) ?? [];
      if (domain === undefined || server === undefined || sequence === undefined) throw new RangeError(`not a list of MariaDB's GTIDs: ${text}`);
      if (list.#last.has(Number(domain))) throw new RangeError(`domain ${domain} twice: ${text}`);
      list.set({ domain: Number(domain), server: Number(server), sequence: BigInt(sequence) });
    }
    return list;
  }

  get isEmpty(): boolean {
    return this.#last.size === 0;
  }

  get gtids(): readonly MariadbGtid[] {
    return [...this.#last.values()];
  }

  copy(): MariadbGtidList {
    return MariadbGtidList.#of(this.#last.values());
  }

  set(gtid: MariadbGtid): void {
    this.#last.set(gtid.domain, gtid);
  }

  of(domain: number): MariadbGtid | undefined {
    return this.#last.get(domain);
  }

  union(other: MariadbGtidList): MariadbGtidList {
    const list = this.copy();
    for (const gtid of other.#last.values()) if (gtid.sequence > (list.of(gtid.domain)?.sequence ?? -1n)) list.set(gtid);
    return list;
  }

  meet(other: MariadbGtidList): MariadbGtidList {
    const list = new MariadbGtidList();
    for (const gtid of this.#last.values()) {
      const theirs = other.of(gtid.domain);
      if (theirs) list.set(theirs.sequence < gtid.sequence ? theirs : gtid);
    }
    return list;
  }

  contains(other: MariadbGtidList): boolean {
    return [...other.#last.values()].every(({ domain, server, sequence }) => {
      const ours = this.of(domain);
      // The same number of two servers is two histories.
      return ours !== undefined && (ours.sequence > sequence || (ours.sequence === sequence && ours.server === server));
    });
  }

  toString(): string {
    return [...this.#last.values()].sort((a, b) => a.domain - b.domain).map(formatMariadbGtid).join(',');
  }

  static #of(gtids: Iterable<MariadbGtid>): MariadbGtidList {
    const list = new MariadbGtidList();
    for (const gtid of gtids) list.set(gtid);
    return list;
  }
}

export function formatMariadbGtid({ domain, server, sequence }: MariadbGtid): string {
  return `${domain}-${server}-${sequence}`;
}
