/** KILL, of a number that the gateway has given out or that the source has. */
import { writeMysqlError } from '../../wire/mysql/error-packet.ts';
import { writeOk } from '../../wire/mysql/ok-packet.ts';
import { writePackets } from '../../wire/mysql/packets.ts';
import { noSuchThread } from './command-answers.ts';
import type { DoorSession, MysqlDoorHost } from './door-host.ts';
import type { Kill } from './own-texts.ts';

/** What the session's own connection is to be asked, with the source's number in it; or else `answered` gets the answer's packets. */
export function killCommand(host: MysqlDoorHost, session: DoorSession, { kind, id }: Kill, packets: Buffer, sequence: number, answered: (packets: Buffer) => void): Buffer | undefined {
  const threadId = host.threadOf(id);
  if (threadId !== undefined) {
    host.cancelLocal(id);
    return writePackets(Buffer.from(`\x03KILL ${kind === 'query' ? 'QUERY ' : 'CONNECTION '}${threadId}`, 'latin1'), 0);
  }
  if (!host.isOwnId(id)) return packets;
  host.killElsewhere(id, kind, session.client.user, (found) => {
    answered(writePackets(found ? writeOk({ status: session.status }, session.capabilities) : writeMysqlError(noSuchThread(id)), sequence + 1));
  });
  return undefined;
}
