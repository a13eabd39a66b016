/**
 * What is said to a client, and what it has to answer, until it is in; one exchange for each method that asks for a secret.
 * https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-START-UP
 */
import { randomBytes } from 'node:crypto';
import { authenticationMd5, authenticationSasl, authenticationSaslContinue, authenticationSaslFinal } from '../wire/backend-messages.ts';
import type { ErrorFields } from '../wire/error-fields.ts';
import { provesMd5 } from '../wire/md5-password.ts';
import { endOfString } from '../wire/message.ts';
import { SCRAM_MECHANISM, SCRAM_PLUS_MECHANISM, ScramServer } from '../wire/scram.ts';
import type { ScramFault, ScramVerifier } from '../wire/scram.ts';
import { protocolError } from './client-error.ts';
import type { LoginMethod } from './users.ts';

export type LoginTurn =
  | { readonly type: 'asked' | 'in'; readonly answer?: Buffer }
  | { readonly type: 'refused'; readonly fields: ErrorFields; readonly reason: 'authentication' | 'protocol' };

export interface LoginExchange {
  readonly question: Buffer;
  /** `body` of a message of type "p". */
  answered(body: Buffer): LoginTurn;
}

/** `endPoint`: what both ends of the TLS connection know of the gateway's certificate; undefined without TLS. */
export function loginExchange(method: Extract<LoginMethod, { type: 'scram' | 'md5' }>, user: string, endPoint: Buffer | undefined): LoginExchange {
  switch (method.type) {
    case 'scram':
      return new ScramExchange(method.verifier, user, endPoint);
    case 'md5':
      return md5Exchange(method.hash, user);
    default:
      return method satisfies never;
  }
}

function md5Exchange(hash: string, user: string): LoginExchange {
  const salt = randomBytes(4);
  return {
    question: authenticationMd5(salt),
    answered: (body) => {
      const end = endOfString(body, 0, body.length);
      if (end !== body.length - 1) return malformed('invalid password packet size');
      return provesMd5(hash, salt, body.toString('utf8', 0, end)) ? { type: 'in' } : wrongPassword(user);
    },
  };
}

class ScramExchange implements LoginExchange {
  readonly question: Buffer;
  readonly #user: string;
  readonly #verifier: ScramVerifier;
  readonly #endPoint: Buffer | undefined;
  #server: ScramServer | undefined;

  constructor(verifier: ScramVerifier, user: string, endPoint: Buffer | undefined) {
    this.#user = user;
    this.#verifier = verifier;
    this.#endPoint = endPoint;
    this.question = authenticationSasl(endPoint ? [SCRAM_PLUS_MECHANISM, SCRAM_MECHANISM] : [SCRAM_MECHANISM]);
  }

  answered(body: Buffer): LoginTurn {
    return this.#server ? this.#final(this.#server, body.toString('utf8')) : this.#first(body);
  }

  #first(body: Buffer): LoginTurn {
    const nameEnd = endOfString(body, 0, body.length);
    const mechanism = nameEnd < 0 ? '' : body.toString('latin1', 0, nameEnd);
    const binds = mechanism === SCRAM_PLUS_MECHANISM && this.#endPoint !== undefined;
    if (mechanism !== SCRAM_MECHANISM && !binds) return malformed('client selected an invalid SASL authentication mechanism');
    const server = new ScramServer(this.#verifier, { binds, ...(this.#endPoint && { endPoint: this.#endPoint }) });
    this.#server = server;
    const step = server.first(body.toString('utf8', nameEnd + 5));
    return step.ok ? { type: 'asked', answer: authenticationSaslContinue(step.reply) } : refused(step.fault, this.#user);
  }

  #final(server: ScramServer, text: string): LoginTurn {
    const step = server.final(text);
    return step.ok ? { type: 'in', answer: authenticationSaslFinal(step.reply) } : refused(step.fault, this.#user);
  }
}

/** In the server's own words. */
function refused(fault: ScramFault, user: string): LoginTurn {
  switch (fault) {
    case 'password':
      return wrongPassword(user);
    case 'protocol':
      return malformed('malformed SCRAM message');
    case 'downgraded':
      return { type: 'refused', reason: 'authentication', fields: { ...protocolError('28000', 'SCRAM channel binding negotiation error'), detail: 'The client supports SCRAM channel binding but thinks the server does not.  However, this server does support channel binding.' } };
    case 'binding':
      return { type: 'refused', reason: 'authentication', fields: protocolError('28000', 'SCRAM channel binding check failed') };
    default:
      return fault satisfies never;
  }
}

function wrongPassword(user: string): LoginTurn {
  return { type: 'refused', reason: 'authentication', fields: protocolError('28P01', `password authentication failed for user "${user}"`) };
}

function malformed(text: string): LoginTurn {
  return { type: 'refused', reason: 'protocol', fields: protocolError('08P01', text) };
}
