/** Our programs on the drivers for Cassandra: each takes host, port, keyspace and data centre, and with a file of certificates, a name and a password only logs in. */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { findTool } from '../support/tools.ts';
import { bring, bringGoProgram, bringJars, bringPython, failed } from './driver-packages.ts';
import type { Brought } from './driver-packages.ts';

export interface CqlDriver {
  /** Why it cannot be run here. */
  readonly missing: string | undefined;
  readonly command: readonly [program: string, ...args: string[]];
}

const programs = path.join(import.meta.dirname, 'programs');

function driver(brought: Brought, command: (folder: string) => readonly [string, ...string[]]): CqlDriver {
  return 'missing' in brought ? { missing: brought.missing, command: [''] } : { missing: undefined, command: command(brought.path) };
}

export async function pythonDriver(): Promise<CqlDriver> {
  const brought = await bringPython({ package: 'cassandra-driver==3.30.1', needs: ['lz4==4.4.5', 'python-snappy==0.7.3'], hasTests: false });
  return driver(brought, (folder) => [path.join(folder, 'bin', 'python'), '-u', path.join(programs, 'cql_workload.py')]);
}

export function nodeDriver(): CqlDriver {
  return { missing: undefined, command: [process.execPath, path.join(programs, 'cql-workload.mjs')] };
}

export async function goDriver(): Promise<CqlDriver> {
  return driver(await bringGoProgram('gocql-1.7.0', path.join(programs, 'cql-go')), (folder) => [path.join(folder, 'program')]);
}

export async function javaDriver(): Promise<CqlDriver> {
  const jars = await bringJars('java-driver-core-4.19.0', path.join(import.meta.dirname, 'java-driver'));
  if ('missing' in jars) return driver(jars, () => ['']);
  const source = path.join(programs, 'CqlWorkload.java');
  const library = path.join(jars.path, '*');
  const classes = await bring('java-cql-workload', `${jars.path} ${fs.readFileSync(source, 'utf8')}`, async (place) => {
    const javac = findTool('javac');
    return javac === undefined ? 'javac is not installed' : failed(javac, ['-cp', library, '-d', place, source]);
  });
  // It runs for seconds: what compiles fast is better than what runs fast.
  return driver(classes, (folder) => [findTool('java') ?? 'java', '-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', '-Xshare:auto', '-Xmx256m', '-cp', `${folder}:${library}`, 'CqlWorkload']);
}

export async function cqlsh(): Promise<CqlDriver> {
  const brought = await bringPython({ package: 'cqlsh==6.2.2', needs: ['cassandra-driver==3.30.1', 'pure-sasl==0.6.2'], fromSources: ['pure-sasl'], hasTests: false });
  return driver(brought, (folder) => [path.join(folder, 'bin', 'python'), '-u', path.join(programs, 'cqlsh_workload.py')]);
}
