/** Property: a program of ours on the Java driver prints through the proxy what it prints on the cluster itself: while both clusters are written, after the switch to the other in its middle, and over a restart of the proxy. */
import * as path from 'node:path';
import { requireTool } from '../support/tools.ts';
import { describeCqlDriver } from './cql-ways.ts';
import { bringJars } from './driver-packages.ts';

const brought = await bringJars('java-driver-core-4.19.0', path.join(import.meta.dirname, 'java-driver'));
const jars = path.join('path' in brought ? brought.path : '', '*');
const program = path.join(import.meta.dirname, 'programs/CqlWorkload.java');

describeCqlDriver('java-driver', 'missing' in brought ? brought.missing : undefined, {
  driver: 'java', limitMs: 240_000, command: ({ host, port, keyspace, datacenter }) => [requireTool('java'), '-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', '-Xmx256m', '-cp', jars, program, host, String(port), keyspace, datacenter],
}, 165);
