/** Addresses as the settings have them. */
import type { CqlAddress } from '../cql/proxy-options.ts';

/** `host`, `host:port`, `[v6]:port`, or a bare IPv6 address. */
export function addressOf(written: string, port: number): CqlAddress {
  const match = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d+))?$/.exec(written);
  if (!match) return { host: written, port };
  return { host: match[1] ?? match[2] ?? written, port: match[3] === undefined ? port : Number(match[3]) };
}
