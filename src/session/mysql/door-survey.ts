/** A MySQL session as SHOW CLIENTS, SHOW POOLS and SHOW SERVERS tell of it, in the words of the other door's. */
import type { SurveyedClient, SurveyedLeg } from '../gateway-survey.ts';
import { tlsOf } from '../gateway-survey.ts';
import type { MysqlLocal } from '../mysql-local/mysql-local.ts';
import { PayloadReader, ProtocolFault } from '../../wire/mysql/payload.ts';
import type { MysqlSession } from './mysql-session.ts';

export function surveyedMysql(session: MysqlSession, local: MysqlLocal | undefined): SurveyedClient {
  const { client, unit, gate, activity: state, backendPids } = session;
  const { user, target, address, socket } = client;
  // What USE has said since is known to the server alone.
  const database = client.database ?? '';
  const { openForMs, idleForMs } = unit.age;
  const source: SurveyedLeg = { side: 'source', pid: backendPids.source, user: target.user, database, address: target.host, port: target.port, state, openForMs };
  const to = backendPids.local === undefined ? undefined : local?.targetOf(user, database);
  return {
    sessionId: session.sessionId, user, database, address, port: socket.remotePort ?? 0, state, replicates: false, protocol: 'mysql', poolMode: local?.modeOf(user, database) ?? 'session', tiedBy: undefined,
    connectedForMs: openForMs, requestedForMs: idleForMs, parkedForMs: gate.parkedForMs, tls: tlsOf(socket), applicationName: programName(client.attributes), preparedStatements: session.prepared.size, lastStatement: unit.lastText,
    legs: [source, ...(to === undefined ? [] : [{ side: 'local' as const, pid: backendPids.local ?? 0, user: to.user, database: to.database, address: to.host, port: to.port, state, openForMs }])],
  };
}

/** Of the attributes that a client has sent: texts by their names. What cannot be read is none. */
function programName(attributes: Buffer | undefined): string {
  if (attributes === undefined) return '';
  const reader = new PayloadReader(attributes);
  try {
    while (reader.left > 0) {
      const [name, value] = [reader.text()?.toString('utf8'), reader.text()?.toString('utf8')];
      if (name === 'program_name') return value ?? '';
    }
  } catch (error) {
    if (!(error instanceof ProtocolFault)) throw error;
  }
  return '';
}
