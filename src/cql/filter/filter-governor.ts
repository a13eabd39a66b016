/**
 * The filter rules that are in force, and the file that they come from. Read again and again while the process runs: what can be read replaces the rules as a whole, what cannot leaves
 * them as they are and says so.
 */
import { filterFileSchema } from '../../../config/cql/filter-file.ts';
import type { FilterRules } from '../../../config/cql/filter-file.ts';
import { readYamlFile } from '../../../config/read-yaml.ts';
import type { Environment } from '../../../config/read-yaml.ts';
import type { Log } from '../../../config/runtime.ts';
import type { CqlStatement } from '../../../grammar/cql/statement.ts';
import type { BindColumn } from '../../wire/cql/result-body.ts';
import type { FilterSnapshot, ShadowFilter } from '../proxy-options.ts';
import { ruleFor } from './filter-rule.ts';
import type { FilterCounts } from './filter-rule.ts';

class RulesInForce implements FilterSnapshot {
  readonly rules: FilterRules;
  readonly #counts: FilterCounts;

  constructor(rules: FilterRules, counts: FilterCounts) {
    this.rules = rules;
    this.#counts = counts;
  }

  get isEmpty(): boolean {
    const { tenant_blacklist: tenants, tenant_whitelist: onlyTenants, table_blacklist: tables, table_whitelist: onlyTables } = this.rules;
    return [tenants, onlyTenants, tables, onlyTables].every(({ length }) => length === 0);
  }

  rule(keyspace: string, facts: CqlStatement, columns: readonly BindColumn[]): ReturnType<FilterSnapshot['rule']> {
    return ruleFor(this.rules, this.#counts, keyspace, facts, columns);
  }
}

export interface FilterState extends Readonly<FilterCounts> {
  readonly file: string;
  readonly rules: FilterRules;
  readonly reloads: number;
  readonly failedReloads: number;
  /** Why the file as it is now is not in force. */
  readonly problem: string | undefined;
}

export class FilterGovernor implements ShadowFilter {
  readonly #file: string;
  readonly #environment: Environment;
  readonly #log: Log;
  readonly #counts: FilterCounts = { tablesSkipped: 0, tenantsSkipped: 0, missing: 0, mixed: 0 };
  #snapshot: RulesInForce;
  #text: string;
  #reloads = 0;
  #failedReloads = 0;
  #problem: string | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** Throws `SettingsError`: without rules that can be read nothing starts. */
  constructor(file: string, environment: Environment, log: Log) {
    this.#file = file;
    this.#environment = environment;
    this.#log = log;
    const { filters } = readYamlFile(file, filterFileSchema, environment);
    this.#snapshot = new RulesInForce(filters, this.#counts);
    this.#text = JSON.stringify(filters);
  }

  get snapshot(): FilterSnapshot {
    return this.#snapshot;
  }

  /** Reads the file every `reload_interval_secs` of the rules in force. */
  start(): void {
    const seconds = this.#snapshot.rules.reload_interval_secs;
    if (seconds === 0) return;
    this.#timer = setTimeout(() => {
      this.reload();
      this.start();
    }, seconds * 1000);
    this.#timer.unref();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  /** True when other rules are in force now. */
  reload(): boolean {
    try {
      const { filters } = readYamlFile(this.#file, filterFileSchema, this.#environment);
      if (this.#problem !== undefined) this.#log.info('the filter rules can be read again', { file: this.#file });
      this.#problem = undefined;
      const text = JSON.stringify(filters);
      if (text === this.#text) return false;
      this.#text = text;
      this.#snapshot = new RulesInForce(filters, this.#counts);
      this.#reloads += 1;
      this.#log.info('new filter rules are in force', { file: this.#file, tenants: filters.tenant_blacklist.length, tables: filters.table_blacklist.length });
      return true;
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error);
      this.#failedReloads += 1;
      if (problem !== this.#problem) this.#log.error('the filter rules cannot be read; those from before stay in force', { file: this.#file, problem });
      this.#problem = problem;
      return false;
    }
  }

  state(): FilterState {
    return { ...this.#counts, file: this.#file, rules: this.#snapshot.rules, reloads: this.#reloads, failedReloads: this.#failedReloads, problem: this.#problem };
  }
}
