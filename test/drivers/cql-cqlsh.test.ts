/** Property: cqlsh prints through the proxy what it prints on the cluster itself, DESCRIBE and COPY included: while both clusters are written, after the switch to the other in its middle, and over a restart of the proxy. */
import * as path from 'node:path';
import { describeCqlDriver } from './cql-ways.ts';
import { bringPython } from './driver-packages.ts';

const brought = await bringPython({ package: 'cqlsh==6.2.2', needs: ['cassandra-driver==3.30.1', 'pure-sasl==0.6.2'], fromSources: ['pure-sasl'], hasTests: false });
const folder = 'path' in brought ? brought.path : '';
const program = path.join(import.meta.dirname, 'programs/cqlsh_workload.py');

describeCqlDriver('cqlsh', 'missing' in brought ? brought.missing : undefined, {
  driver: 'cqlsh', limitMs: 180_000, command: ({ host, port, keyspace, datacenter }) => [path.join(folder, 'bin', 'python'), '-u', program, host, String(port), keyspace, datacenter],
}, 85);
