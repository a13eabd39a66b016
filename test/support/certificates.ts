/** Certificates for tests, by openssl: an authority of its own in a folder of its own. */
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';

export interface KeyPair {
  /** Paths of PEM files. */
  readonly cert: string;
  readonly key: string;
}

export interface TestAuthority extends Disposable {
  /** Path of its own certificate. */
  readonly ca: string;
  issue(commonName: string, options?: { readonly expired?: boolean }): KeyPair;
  /** Path of the list of these. */
  revoke(...revoked: readonly KeyPair[]): string;
}

export function createTestAuthority(name = 'test authority'): TestAuthority {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'causeway-ca-'));
  fs.chmodSync(directory, 0o755);
  const at = (file: string): string => path.join(directory, file);
  const openssl = (...args: readonly string[]): void => void execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'], cwd: directory });
  fs.writeFileSync(at('ca.cnf'), [
    '[ca]', 'default_ca=this', '[this]', `dir=${directory}`, 'database=$dir/index.txt', 'new_certs_dir=$dir', 'serial=$dir/serial', 'crlnumber=$dir/crlnumber', 'certificate=$dir/ca.pem', 'private_key=$dir/ca.key',
    'default_md=sha256', 'default_days=2', 'default_crl_days=2', 'unique_subject=no', 'policy=any', '[any]', 'commonName=supplied',
  ].join('\n'));
  fs.writeFileSync(at('index.txt'), '');
  fs.writeFileSync(at('serial'), '01');
  fs.writeFileSync(at('crlnumber'), '01');
  openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', at('ca.key'), '-out', at('ca.pem'), '-days', '2', '-subj', `/CN=${name}`);
  let count = 0;
  return {
    ca: at('ca.pem'),
    issue: (commonName, { expired = false } = {}) => {
      count += 1;
      const [cert, key, request] = [at(`${count}.pem`), at(`${count}.key`), at(`${count}.csr`)];
      openssl('req', '-new', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', request, '-subj', `/CN=${commonName}`);
      openssl('ca', '-batch', '-config', at('ca.cnf'), '-in', request, '-out', cert, '-notext', ...(expired ? ['-startdate', '20200101000000Z', '-enddate', '20200102000000Z'] : []));
      // libpq takes no key that others may read.
      fs.chmodSync(key, 0o600);
      return { cert, key };
    },
    revoke: (...revoked) => {
      for (const { cert } of revoked) openssl('ca', '-config', at('ca.cnf'), '-revoke', cert);
      openssl('ca', '-config', at('ca.cnf'), '-gencrl', '-out', at('crl.pem'));
      return at('crl.pem');
    },
    [Symbol.dispose]: () => fs.rmSync(directory, { recursive: true, force: true }),
  };
}
