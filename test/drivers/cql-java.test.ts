/** Property: a program of ours on the Java driver prints through the proxy what it prints on the cluster itself: while both clusters are written, after the switch to the other in its middle, and over a restart of the proxy. */
import { javaDriver } from './cql-programs.ts';
import { describeCqlDriver } from './cql-ways.ts';

describeCqlDriver('java-driver', await javaDriver(), { driver: 'java', limitMs: 240_000 }, 165);
