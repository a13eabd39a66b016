/** A session's settings, role and LISTENs: asked of the connection that has them, and made on another one. */

type StateRows = readonly (readonly (string | null)[])[];

/** Everything that is not the server's own default: of the role, the database, the start-up packet or the session. */
const stateQuery = `SELECT pg_catalog.quote_literal(name), pg_catalog.quote_literal(pg_catalog.current_setting(name)) FROM pg_catalog.pg_settings
  WHERE source IN ('database', 'user', 'database user', 'client', 'session', 'interactive') AND context IN ('user', 'superuser')
    AND name NOT LIKE 'transaction\\_%'
  UNION ALL SELECT NULL, pg_catalog.quote_ident(channel) FROM pg_catalog.pg_listening_channels() AS channel`;

/** Rows with these names are who the session is, which no list of settings shows. */
const identities: ReadonlySet<string | null | undefined> = new Set(["'session_authorization'", "'role'"]);

/** `login` is who the connection logged in as. Settings of applications' own are in no catalog: they are asked for by name. */
export function stateQueryWith(customSettings: ReadonlySet<string>, login: string): string {
  const query = `${stateQuery}
  UNION ALL SELECT '''session_authorization''', pg_catalog.quote_literal(session_user) WHERE session_user <> ${dollarQuoted(login)}
  UNION ALL SELECT '''role''', pg_catalog.quote_literal(pg_catalog.current_setting('role')) WHERE pg_catalog.current_setting('role') <> 'none'`;
  if (customSettings.size === 0) return query;
  const names = [...customSettings].map((name) => dollarQuoted(name)).join(', ');
  return `${query} UNION ALL SELECT pg_catalog.quote_literal(name), pg_catalog.quote_literal(pg_catalog.current_setting(name, true)) FROM pg_catalog.unnest(ARRAY[${names}]) AS name WHERE pg_catalog.current_setting(name, true) IS NOT NULL`;
}

/**
 * Each setting by itself: one that local does not know must not keep the others from it. Who the session is comes last, may need what the login may do, and
 * fails the whole when it cannot be had: what is run then must not be run as the login.
 */
export function stateSql(rows: StateRows): string {
  const channels = rows.filter(([name]) => name === null).map(([, channel]) => `LISTEN ${channel ?? ''};`);
  return `RESET SESSION AUTHORIZATION; RESET ROLE; RESET ALL; UNLISTEN *; ${channels.join(' ')} ${settingsSql(rows, false)}`;
}

/**
 * The same for the rest of a block alone, on a connection that others have after it. What LISTENs has a connection of its own. A setting that the block
 * has put back is put back there, too.
 */
export function blockStateSql(rows: StateRows): string {
  const putBack = `SELECT pg_catalog.set_config(name, reset_val, true) FROM pg_catalog.pg_settings
    WHERE source = 'session' AND context IN ('user', 'superuser') AND reset_val IS NOT NULL AND name NOT LIKE 'transaction\\_%'`;
  return `SET LOCAL SESSION AUTHORIZATION DEFAULT; SET LOCAL ROLE NONE; ${putBack}; ${settingsSql(rows, true)}`;
}

function settingsSql(rows: StateRows, isLocal: boolean): string {
  const settings = rows.filter(([name]) => name !== null && !identities.has(name));
  const blocks = settings.map(([name, value]) => `BEGIN PERFORM pg_catalog.set_config(${name ?? ''}, ${value ?? ''}, ${isLocal}); EXCEPTION WHEN OTHERS THEN NULL; END;`);
  const apply = `BEGIN ${blocks.join('\n')} END`;
  const identity = [...identities].flatMap((wanted) => rows.filter(([name]) => name === wanted)).map(([name, value]) => `; SELECT pg_catalog.set_config(${name ?? ''}, ${value ?? ''}, ${isLocal})`);
  return `DO ${dollarQuoted(apply)}${identity.join('')}`;
}

function dollarQuoted(text: string): string {
  let tag = '$causeway$';
  while (text.includes(tag)) tag = `$c${tag.slice(1)}`;
  return `${tag}${text}${tag}`;
}
