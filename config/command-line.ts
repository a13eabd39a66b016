/** The arguments of `npm start -- …` and `npm run demo -- …`. Options win over the settings file. */
import { parseArgs } from 'node:util';
import type { Settings } from './settings.ts';

export interface CommandLine {
  /** Settings file; undefined = the sample set-up with two embedded databases. */
  readonly configFile: string | undefined;
  /** Adds a visible writer of realistic traffic. */
  readonly traffic: boolean;
  readonly help: boolean;
  readonly overrides: SettingOverrides;
}

export interface SettingOverrides {
  readonly port?: number;
  readonly httpPort?: number;
  readonly sourcePort?: number;
  readonly localPort?: number;
  readonly workers?: number;
  readonly stateDirectory?: string;
}

export const usage = `npm start -- [options]
  --config FILE           settings file (default: sample source and local, both embedded)
  --traffic               run realistic traffic through the gateway
  --port N                gateway (default 7432)
  --http-port N           metrics and health (default 8080)
  --source-port N         embedded source (default 7433)
  --local-port N          embedded local (default 7434)
  --workers N             gateway processes (default: one per core)
  --state-directory DIR   catalog, spool and embedded data (default .causeway/state)
  --help`;

/** Throws an Error whose message names the argument. */
export function readCommandLine(args: readonly string[]): CommandLine {
  const { values } = parseArgs({
    args: [...args],
    strict: true,
    options: {
      config: { type: 'string' },
      traffic: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
      port: { type: 'string' },
      'http-port': { type: 'string' },
      'source-port': { type: 'string' },
      'local-port': { type: 'string' },
      workers: { type: 'string' },
      'state-directory': { type: 'string' },
    },
  });
  const overrides = {
    ...wholeNumber('port', values.port, 65_535),
    ...wholeNumber('httpPort', values['http-port'], 65_535),
    ...wholeNumber('sourcePort', values['source-port'], 65_535),
    ...wholeNumber('localPort', values['local-port'], 65_535),
    ...wholeNumber('workers', values.workers, 256),
    ...(values['state-directory'] === undefined ? {} : { stateDirectory: values['state-directory'] }),
  };
  return { configFile: values.config, traffic: values.traffic, help: values.help, overrides };
}

function wholeNumber(name: keyof SettingOverrides, given: string | undefined, max: number): SettingOverrides {
  if (given === undefined) return {};
  const value = Number(given);
  if (!/^\d+$/.test(given) || value < 1 || value > max) throw new Error(`--${optionName(name)}: expected a number from 1 to ${max}, not "${given}"`);
  return { [name]: value };
}

function optionName(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** Throws when an option speaks of an embedded database that the settings do not have. */
export function applyOverrides(settings: Settings, overrides: SettingOverrides): Settings {
  return {
    ...settings,
    listen: { ...settings.listen, port: overrides.port ?? settings.listen.port },
    http: { ...settings.http, port: overrides.httpPort ?? settings.http.port },
    workers: overrides.workers ?? settings.workers,
    stateDirectory: overrides.stateDirectory ?? settings.stateDirectory,
    source: withPort(settings.source, 'source', overrides.sourcePort),
    local: withPort(settings.local, 'local', overrides.localPort),
  };
}

function withPort(side: Settings['source'], name: 'source' | 'local', port: number | undefined): Settings['source'] {
  if (port === undefined) return side;
  if (side.kind !== 'embedded') throw new Error(`--${name}-port: the ${name} of the settings file is not embedded; its port is ${name}.port there`);
  return { ...side, port };
}
