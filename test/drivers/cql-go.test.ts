/** Property: a program of ours on gocql prints through the proxy what it prints on the cluster itself: while both clusters are written, after the switch to the other in its middle, and over a restart of the proxy. */
import * as path from 'node:path';
import { describeCqlDriver } from './cql-ways.ts';
import { bringGoProgram } from './driver-packages.ts';

const brought = await bringGoProgram('gocql-1.7.0', path.join(import.meta.dirname, 'programs/cql-go'));
const program = path.join('path' in brought ? brought.path : '', 'program');

describeCqlDriver('gocql', 'missing' in brought ? brought.missing : undefined, {
  driver: 'go', limitMs: 180_000, command: ({ host, port, keyspace, datacenter }) => [program, host, String(port), keyspace, datacenter],
}, 145);
