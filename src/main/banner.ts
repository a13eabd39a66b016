/** What `npm start` prints once clients can connect. */
import type { Settings } from '../../config/settings.ts';

export function banner(settings: Settings, source: string, traffic: boolean): string {
  const host = settings.listen.host === '0.0.0.0' || settings.listen.host === '::' ? '127.0.0.1' : settings.listen.host;
  const operator = settings.users.find((user) => user.operator)?.name ?? settings.users[0]?.name ?? 'operator';
  const database = settings.source.kind === 'embedded' ? 'shop' : settings.source.database;
  const isSample = settings.source.kind === 'embedded' && settings.source.sample;
  const table = isSample ? 'orders' : '<table>';
  return `
Causeway is ready.

  psql -h ${host} -p ${settings.listen.port} -U ${operator} ${database}

  First commands to try:
    SHOW MIGRATION HELP;
    SHOW MIGRATION GROUPS;
    CHECK MIGRATION FOR TABLE ${table} FROM ${source};
    START MIGRATION ${isSample ? 'FOR SCHEMA public' : `FOR TABLE ${table}`} FROM ${source};
    SHOW MIGRATION STATUS;          (\\watch 1 repeats it; the Next column names the next command)
    VALIDATE MIGRATION ${isSample ? 'FOR SCHEMA public' : `FOR TABLE ${table}`} FULL;
    EXPLAIN CUTOVER TABLE ${table};
    CUTOVER GROUP OF ${table};
    ROLLBACK MIGRATION FOR GROUP OF ${table} PRESERVE LOCAL DATA;

  Metrics http://${settings.http.host}:${settings.http.port}/metrics   health /healthz   ready /readyz
  State   ${settings.stateDirectory}
  Stop    Ctrl-C${traffic ? '   (traffic is running)' : `   (npm start -- --traffic adds a writer)`}
`;
}
