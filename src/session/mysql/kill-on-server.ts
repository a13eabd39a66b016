/** KILL over a connection of its own, by the user whose connection it is: every user may end his own. */
import { Capability } from '../../wire/mysql/capabilities.ts';
import { Command } from '../../wire/mysql/commands.ts';
import { connectMysql } from '../../wire/mysql/connect-mysql.ts';
import type { MysqlTarget } from '../../wire/mysql/connect-mysql.ts';
import { writePackets } from '../../wire/mysql/packets.ts';
import { Collation } from '../../wire/mysql/column-definition.ts';

export type KillKind = 'query' | 'connection';

const options = {
  capabilities: { flags: Capability.mysql | Capability.protocol41 | Capability.secureConnection | Capability.pluginAuth | Capability.transactions, mariadb: 0 },
  maxPacketBytes: 1 << 24, collation: Collation.utf8mb4, database: undefined, attributes: undefined,
};

/** `done`: the server has answered, or could not be asked. */
export function killOnServer(target: MysqlTarget, threadId: number, kind: KillKind, timeoutMs: number, done: () => void): void {
  connectMysql(target, options, timeoutMs, (login) => {
    if (!login.ok) return done();
    const { socket } = login;
    let isDone = false;
    const end = (): void => {
      if (isDone) return;
      isDone = true;
      socket.destroy();
      done();
    };
    socket.setTimeout(timeoutMs, end);
    socket.on('close', end);
    socket.once('data', () => socket.end(writePackets(Buffer.of(Command.quit), 0)));
    socket.write(writePackets(Buffer.from(`\x03KILL ${kind === 'query' ? 'QUERY ' : ''}${threadId}`, 'latin1'), 0));
    socket.resume();
  });
}
