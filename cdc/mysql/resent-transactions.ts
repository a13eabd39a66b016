/**
 * What a server sends again of that which another one had sent before a failover: by GTID it gets the positions that it had, so that the stream knows what it
 * has applied and spooled. In the order of before: else nobody could tell which of it a table has.
 */
import { GtidSet } from './binlog/gtid-set.ts';
import { MariadbGtidList } from './binlog/mariadb-gtid-list.ts';
import { plainGtid } from './choose-server.ts';
import type { MysqlPosition } from './position.ts';
import { parseMariadbGtid } from './probe-server.ts';
import { gap } from './binlog/begin-dump.ts';
import type { SentTransactions } from './sent-transactions.ts';

export class ResentTransactions {
  readonly #orders: ReadonlyMap<string, bigint>;

  private constructor(orders: ReadonlyMap<string, bigint>) {
    this.#orders = orders;
  }

  /** Undefined when nothing is to come again of what lies behind `confirmed`. `own`: the smallest position on the server that is read now. */
  static of(sent: SentTransactions, confirmed: bigint, own: bigint): ResentTransactions | undefined {
    const orders = sent.between(confirmed, own);
    return orders.size === 0 ? undefined : new ResentTransactions(orders);
  }

  has(gtid: string): boolean {
    return this.#orders.has(gtid);
  }

  /** Throws MIG021 for one that comes in between, or too late. */
  orderOf(gtid: string, sent: bigint): bigint {
    const order = this.#orders.get(gtid);
    if (order !== undefined && order >= sent) return order;
    throw gap('the server has transactions in another order than the one that was read before', gtid, 'Replicas have to keep the order of commits (replica_preserve_commit_order). RESYNC MIGRATION FOR TABLE … loads each table again.');
  }

  /** Some may not come, for nobody wants their tables any more: the server's position says whether it is past them. */
  isOverAt(position: MysqlPosition): boolean {
    const gtids = [...this.#orders.keys()].map(plainGtid);
    switch (position.type) {
      case 'mysql_gtid':
        return GtidSet.parse(position.gtidSet).contains(GtidSet.parse(gtids.join(',')));
      case 'mariadb_gtid': {
        const reached = MariadbGtidList.parse(position.gtidList);
        return gtids.map(parseMariadbGtid).every(({ domain, sequence }) => (reached.of(domain)?.sequence ?? 0n) >= sequence);
      }
      case 'mysql_binlog':
        return true;
      default:
        return position satisfies never;
    }
  }
}
