/** The settings of a session that decide how PostgreSQL writes and reads values, and how long it waits: asked of the home leg whenever they may have changed. */
import type { Verdict } from '../../wire/framing.ts';
import type { SessionCore } from '../session-core.ts';

const settingsQuery = `SELECT pg_catalog.current_setting('TimeZone'), pg_catalog.current_setting('DateStyle'), pg_catalog.current_setting('IntervalStyle'), pg_catalog.current_setting('bytea_output'),
  pg_catalog.current_setting('extra_float_digits'), pg_catalog.current_setting('client_encoding'), pg_catalog.current_setting('standard_conforming_strings'), pg_catalog.current_setting('transform_null_equals'), ${['statement_timeout', 'lock_timeout'].map((name) => `pg_catalog.date_part('epoch', pg_catalog.current_setting('${name}')::pg_catalog.interval) * 1000`).join(', ')}`;

export class TextSettings {
  readonly #core: SessionCore;
  #version = 0;
  #isAsking = false;
  /** Spelled as PostgreSQL does; `UTC` for each name of it. */
  timeZone = 'UTC';
  /** 0: none. */
  statementTimeoutMs = 0;
  lockTimeoutMs = 0;
  /** The one that makes the translation impossible. */
  obstacle: string | undefined;

  constructor(core: SessionCore) {
    this.#core = core;
  }

  /** STOP until they are known; nothing may be under way. */
  fresh(): Verdict | undefined {
    const core = this.#core;
    if (this.#version === core.stateVersion) return undefined;
    if (!this.#isAsking) {
      this.#isAsking = true;
      const version = core.stateVersion;
      core.ask(core.home, settingsQuery, ({ rows }) => {
        this.#isAsking = false;
        const [zone, dateStyle, intervalStyle, byteaOutput, floatDigits, encoding, strings, nullEquals, statementTimeout, lockTimeout] = rows[0] ?? [];
        this.timeZone = /^(?:UTC|Etc\/UTC|GMT|Etc\/GMT|UCT|Etc\/UCT|Zulu|Etc\/Zulu|Universal|Etc\/Universal)$/i.test(zone ?? '') ? 'UTC' : zone ?? '';
        const wanted = [['DateStyle', dateStyle?.startsWith('ISO')], ['IntervalStyle', intervalStyle === 'postgres'], ['bytea_output', byteaOutput === 'hex'], ['extra_float_digits', Number(floatDigits) >= 1], ['client_encoding', encoding === 'UTF8'], ['standard_conforming_strings', strings === 'on'], ['transform_null_equals', nullEquals === 'off']] as const;
        this.obstacle = wanted.find(([, isUsual]) => isUsual !== true)?.[0];
        this.statementTimeoutMs = Number(statementTimeout ?? 0);
        this.lockTimeoutMs = Number(lockTimeout ?? 0);
        this.#version = version;
        core.proceed('state');
      });
    }
    return core.wait('state');
  }
}
