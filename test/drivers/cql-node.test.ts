/** Property: a program of ours on the Node driver prints through the proxy what it prints on the cluster itself: while both clusters are written, after the switch to the other in its middle, and over a restart of the proxy. */
import { nodeDriver } from './cql-programs.ts';
import { describeCqlDriver } from './cql-ways.ts';

describeCqlDriver('cassandra-driver for Node', nodeDriver(), { driver: 'node', limitMs: 180_000 }, 155);
