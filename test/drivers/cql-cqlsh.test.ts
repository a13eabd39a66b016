/** Property: cqlsh prints through the proxy what it prints on the cluster itself, DESCRIBE and COPY included: while both clusters are written, after the switch to the other in its middle, and over a restart of the proxy. */
import { cqlsh } from './cql-programs.ts';
import { describeCqlDriver } from './cql-ways.ts';

describeCqlDriver('cqlsh', await cqlsh(), { driver: 'cqlsh', limitMs: 180_000 }, 85);
