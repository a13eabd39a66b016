/** The page about versions, the table in the code and what the code asks of each version say the same. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { capabilityTable, documentedCapabilities, oldestVersion, serverCapabilities, supportedVersions } from '../../../cdc/postgres/capabilities.ts';
import { testedVersions } from '../../support/servers.ts';

const page = readFileSync(new URL('../../../docs/postgres-versions.md', import.meta.url), 'utf8');

describe('versions', () => {
  it('that count as supported are those that the tests start', () => {
    expect(supportedVersions).toEqual(testedVersions);
    expect(supportedVersions[0] * 10000).toBe(oldestVersion);
    expect(page).toContain(`**${supportedVersions.join(', ')}**`);
    const readme = readFileSync(new URL('../../../README.md', import.meta.url), 'utf8');
    expect(readme).toContain(`PostgreSQL ${supportedVersions[0]} to ${supportedVersions.at(-1)} to PostgreSQL ${supportedVersions[0]} to ${supportedVersions.at(-1)}`);
  });

  it('are documented with what they lack', () => {
    expect(page).toContain(capabilityTable());
    for (const { capability, from } of documentedCapabilities()) {
      const having = supportedVersions.filter((version) => serverCapabilities(version * 10000 + 4)[capability]);
      expect(having, capability).toEqual(supportedVersions.filter((version) => version >= from));
    }
    const documented = new Set<string>(documentedCapabilities().map(({ capability }) => capability));
    expect(Object.keys(serverCapabilities(180000)).filter((name) => !['version', 'oidTables', 'safePublication'].includes(name) && !documented.has(name))).toEqual([]);
  });
});
