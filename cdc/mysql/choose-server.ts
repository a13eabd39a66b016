/**
 * Which of a source's servers the stream reads: the one of before, as long as it is written to; else the one that was promoted in its place, if it has
 * every transaction that the stream has handed on. One that lacks some of them has another history: what local has had of it would stay there and be wrong,
 * so it is refused, and the transactions are named (MIG021).
 */
import { MigrationError } from '../../config/migration-error.ts';
import type { Runtime } from '../../config/runtime.ts';
import { describeAddress } from '../postgres/server-address.ts';
import { GtidSet } from './binlog/gtid-set.ts';
import { formatMariadbGtid, MariadbGtidList } from './binlog/mariadb-gtid-list.ts';
import type { MariadbGtid } from './binlog/mariadb-gtid-list.ts';
import type { MysqlPosition } from './position.ts';
import { parseMariadbGtid, probeServer } from './probe-server.ts';
import type { MariadbHoldings, MysqlHoldings, ServerReport } from './probe-server.ts';
import type { SentTransactions } from './sent-transactions.ts';
import type { ServerPlace, ServerPlaces } from './server-places.ts';

/** What has to be on a server for the stream to go on there. */
export interface StreamHistory {
  /** Who was read up to now. */
  readonly server: string;
  readonly resume: MysqlPosition;
  readonly sent: SentTransactions;
}

export interface ChosenServer {
  readonly place: ServerPlace;
  readonly report: ServerReport;
}

/** Undefined where the one of before is to be used, or tried again. Throws MIG021 for one that was promoted and cannot go on. */
export async function chooseServer(runtime: Runtime, places: ServerPlaces, history: StreamHistory | undefined): Promise<ChosenServer | undefined> {
  const notes: string[] = [];
  let refusal: MigrationError | undefined;
  let demoted: ChosenServer | undefined;
  for (const place of places.inOrder()) {
    const name = describeAddress(places.at(place));
    const report = await probeServer(places.at(place), runtime.signal).catch((error: unknown) => {
      notes.push(`${name}: ${error instanceof MigrationError ? (error.detail ?? error.message) : String(error)}`);
      return undefined;
    });
    if (!report) continue;
    const isSame = history?.server === report.systemId;
    if (isSame && report.standby !== undefined) demoted = { place, report };
    if (report.standby !== undefined) {
      notes.push(`${name}: ${report.standby}`);
      continue;
    }
    if (!history || isSame) return { place, report };
    const obstacle = whyNot(history, report);
    if (!obstacle) return { place, report };
    refusal ??= new MigrationError('MIG021', `${name} was promoted, and the stream cannot go on there: resync needed`, {
      detail: obstacle, hint: 'Promote a replica that has them, or bring the old server back in its place, if there is one. Then RESYNC MIGRATION FOR TABLE … loads each table again, from the server that is promoted by then; what is missing there is lost.',
    });
  }
  if (demoted) return demoted;
  if (refusal) throw refusal;
  if (notes.length > 0) runtime.log.warn('no server of the source can be read and written', { servers: notes });
  return undefined;
}

function whyNot({ resume, sent }: StreamHistory, { holdings }: ServerReport): string | undefined {
  if (sent.forgottenUpTo > 0n) return 'More transactions have been read since the last confirmation than are remembered by GTID.';
  if (resume.type === 'mysql_gtid' && holdings?.kind === 'mysql') return whyNotMysql(GtidSet.parse(resume.gtidSet), sent, holdings);
  if (resume.type === 'mariadb_gtid' && holdings?.kind === 'mariadb') return whyNotMariadb(MariadbGtidList.parse(resume.gtidList), sent, holdings);
  return 'It is another server than the one that was read before, and without GTIDs on both nobody can tell which transactions it has (gtid_mode).';
}

function whyNotMysql(confirmed: GtidSet, sent: SentTransactions, { executed, purged }: MysqlHoldings): string | undefined {
  const missing = confirmed.union(GtidSet.parse([...sent.gtids].map(plainGtid).join(','))).minus(executed);
  if (!missing.isEmpty) return `It lacks transactions that have been read: ${missing.toString()}`;
  const forgotten = purged.minus(confirmed);
  return forgotten.isEmpty ? undefined : `It has purged transactions that may not have been read: ${forgotten.toString()}`;
}

function whyNotMariadb(confirmed: MariadbGtidList, sent: SentTransactions, { logged, replicated }: MariadbHoldings): string | undefined {
  const read = [...confirmed.gtids, ...[...sent.gtids].map((gtid) => parseMariadbGtid(plainGtid(gtid)))];
  const isThere = (gtid: MariadbGtid): boolean => [...logged, ...replicated].some((theirs) => theirs.domain === gtid.domain && theirs.server === gtid.server && theirs.sequence >= gtid.sequence);
  const missing = read.filter((gtid) => !isThere(gtid)).map(formatMariadbGtid);
  if (missing.length === 0) return undefined;
  return `It lacks transactions that have been read: ${missing.slice(0, 20).join(', ')}${missing.length > 20 ? ` and ${missing.length - 20} more` : ''} (it has ${logged.map(formatMariadbGtid).join(', ') || 'none'})`;
}

/** A statement is remembered apart from the rows of the same transaction. */
export function plainGtid(gtid: string): string {
  return gtid.split(' ')[0] ?? '';
}
