/** Property: a program of ours on the Python driver prints through the proxy what it prints on the cluster itself: while both clusters are written, after the switch to the other in its middle, and over a restart of the proxy. */
import * as path from 'node:path';
import { describeCqlDriver } from './cql-ways.ts';
import { bringPython } from './driver-packages.ts';

const brought = await bringPython({ package: 'cassandra-driver==3.30.1', needs: ['lz4==4.4.5', 'python-snappy==0.7.3'], hasTests: false });
const folder = 'path' in brought ? brought.path : '';
const program = path.join(import.meta.dirname, 'programs/cql_workload.py');

describeCqlDriver('cassandra-driver for Python', 'missing' in brought ? brought.missing : undefined, {
  driver: 'python', limitMs: 180_000, command: ({ host, port, keyspace, datacenter }) => [path.join(folder, 'bin', 'python'), '-u', program, host, String(port), keyspace, datacenter],
}, 210);
