/**
 * TLS towards clients, and what their certificates are worth: https://www.postgresql.org/docs/current/ssl-tcp.html
 *
 * Whether a certificate is good Node tells a TLS server alone, not a socket that is made by hand. So there is one that listens nowhere and is handed
 * the sockets; what comes back is known by its addresses, which nothing else has at the time.
 */
import { constants, createHash, X509Certificate } from 'node:crypto';
import * as fs from 'node:fs';
import type * as net from 'node:net';
import * as tls from 'node:tls';

/** PEM text, or paths of files that hold it. */
export interface ClientTls {
  readonly cert: string;
  readonly key: string;
  /** Who may have signed the certificates of clients; left out: none is asked for. */
  readonly ca?: string;
  /** Certificates that are no longer good. */
  readonly crl?: string;
  readonly required?: boolean;
}

/** What a client showed. `problem`: why it counts for nothing, in OpenSSL's name for it. */
export type ClientCertificate = { readonly commonName: string | undefined; readonly problem?: undefined } | { readonly problem: string };

export class TlsClients {
  readonly required: boolean;
  /** For tls-server-end-point (RFC 5929); undefined when the certificate's signature has no hash of its own. */
  readonly endPoint: Buffer | undefined;
  readonly #server: tls.Server;
  readonly #expected = new Map<string, (secure: tls.TLSSocket) => void>();

  /** Throws when a file cannot be read, or is not what it should be. */
  constructor(given: ClientTls) {
    this.required = given.required ?? false;
    const cert = pem(given.cert);
    this.endPoint = endPointOf(cert);
    this.#server = tls.createServer({
      cert, key: pem(given.key), minVersion: 'TLSv1.2',
      // A resumed session would skip the look at the certificate.
      secureOptions: constants.SSL_OP_NO_TICKET,
      ...(given.ca === undefined ? {} : { ca: pem(given.ca), requestCert: true, rejectUnauthorized: false }),
      ...(given.crl === undefined ? {} : { crl: pem(given.crl) }),
    });
    this.#server.on('secureConnection', (secure) => this.#secured(secure));
    // The socket is destroyed by then, which is what its handshake hears of.
    this.#server.on('tlsClientError', () => undefined);
  }

  /** False for a socket that cannot have it: as at a server, one without addresses. A failure shows as the end of `plain`. */
  accept(plain: net.Socket, secured: (secure: tls.TLSSocket) => void): boolean {
    const name = nameOf(plain);
    if (name === undefined || this.#expected.has(name)) return false;
    this.#expected.set(name, secured);
    plain.once('close', () => {
      if (this.#expected.get(name) === secured) this.#expected.delete(name);
    });
    this.#server.emit('connection', plain);
    return true;
  }

  #secured(secure: tls.TLSSocket): void {
    const name = nameOf(secure) ?? '';
    const secured = this.#expected.get(name);
    this.#expected.delete(name);
    if (secured) secured(secure);
    else secure.destroy();
  }
}

/** Undefined: the client has shown none. */
export function certificateOf(socket: net.Socket): ClientCertificate | undefined {
  if (!(socket instanceof tls.TLSSocket) || socket.getPeerX509Certificate() === undefined) return undefined;
  if (!socket.authorized) return { problem: String(socket.authorizationError) };
  const { subject } = socket.getPeerCertificate();
  return { commonName: typeof subject.CN === 'string' ? subject.CN : undefined };
}

function nameOf(socket: net.Socket): string | undefined {
  const { remoteAddress, remotePort, localAddress, localPort } = socket;
  return remotePort === undefined ? undefined : `${remoteAddress ?? ''} ${remotePort} ${localAddress ?? ''} ${localPort ?? 0}`;
}

/** The hash is that of the certificate's signature, but none weaker than SHA-256. */
function endPointOf(cert: string): Buffer | undefined {
  const { raw, signatureAlgorithm } = new X509Certificate(cert);
  const [, hash] = /(md5|sha1|sha224|sha256|sha384|sha512)/i.exec(signatureAlgorithm ?? '') ?? [];
  if (hash === undefined) return undefined;
  return createHash(/^(?:md5|sha1)$/i.test(hash) ? 'sha256' : hash.toLowerCase()).update(raw).digest();
}

function pem(value: string): string {
  return value.includes('-----BEGIN') ? value : fs.readFileSync(value, 'utf8');
}
