/** Property: a program of ours on gocql prints through the proxy what it prints on the cluster itself: while both clusters are written, after the switch to the other in its middle, and over a restart of the proxy. */
import { goDriver } from './cql-programs.ts';
import { describeCqlDriver } from './cql-ways.ts';

describeCqlDriver('gocql', await goDriver(), { driver: 'go', limitMs: 180_000 }, 145);
