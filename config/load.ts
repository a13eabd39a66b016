/** The product's own settings file, to `Settings`. */
import * as path from 'node:path';
import { readYaml, readYamlFile } from './read-yaml.ts';
import type { Environment, SettingsOrigin } from './read-yaml.ts';
import { sampleSettings, settingsSchema } from './settings.ts';
import type { Settings } from './settings.ts';

export { SettingsError } from './read-yaml.ts';
export type { Environment, SettingsOrigin } from './read-yaml.ts';

/** Reads and validates the file. Throws `SettingsError`. */
export function loadSettings(file: string, environment: Environment): Settings {
  return resolved(readYamlFile(file, settingsSchema, environment), path.dirname(path.resolve(file)));
}

/** The settings of `npm start` without a file; `directory` is what `state_directory` is relative to. */
export function defaultSettings(directory: string): Settings {
  return resolved(settingsSchema.parse(sampleSettings), directory);
}

/** As `loadSettings`, from text. */
export function parseSettings(yaml: string, origin: SettingsOrigin): Settings {
  return resolved(readYaml(yaml, settingsSchema, origin), origin.directory);
}

function resolved(settings: Settings, directory: string): Settings {
  const { cql } = settings;
  const rules = cql?.filterRules;
  return {
    ...settings, stateDirectory: path.resolve(directory, settings.stateDirectory),
    ...(cql === undefined || rules === undefined ? {} : { cql: { ...cql, filterRules: path.resolve(directory, rules) } }),
  };
}
