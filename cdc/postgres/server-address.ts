/** How to reach one PostgreSQL database. Never logged whole: `describeAddress` leaves the secrets out. */
export interface ServerAddress {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly password?: string;
  readonly ssl?: TlsOptions;
}

export interface TlsOptions {
  readonly mode: 'require' | 'verify-ca' | 'verify-full';
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

export function describeAddress(address: ServerAddress): string {
  return `${address.user}@${address.host}:${address.port}/${address.database}`;
}
