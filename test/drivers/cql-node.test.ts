/** Property: a program of ours on the Node driver prints through the proxy what it prints on the cluster itself: while both clusters are written, after the switch to the other in its middle, and over a restart of the proxy. */
import * as path from 'node:path';
import { describeCqlDriver } from './cql-ways.ts';

const program = path.join(import.meta.dirname, 'programs/cql-workload.mjs');

describeCqlDriver('cassandra-driver for Node', undefined, {
  driver: 'node', limitMs: 180_000, command: ({ host, port, keyspace, datacenter }) => [process.execPath, program, host, String(port), keyspace, datacenter],
}, 155);
