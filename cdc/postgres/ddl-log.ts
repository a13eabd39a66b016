/** An event trigger that writes changes of table definitions into the stream, in their place among the changes (RULES 6). */
import type { ClientBase } from 'pg';
import { sqlstateOf } from './connect.ts';

const ddl = `
CREATE OR REPLACE FUNCTION causeway.log_ddl() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $body$
DECLARE command record;
BEGIN
  -- The gateway's own: a fence is switched on and off by ALTER TABLE.
  IF current_setting('application_name') = 'causeway control' THEN RETURN; END IF;
  FOR command IN SELECT * FROM pg_event_trigger_ddl_commands() LOOP
    CONTINUE WHEN command.object_type NOT IN ('table', 'table column') OR command.schema_name = 'causeway' OR command.schema_name LIKE 'pg\\_temp%';
    INSERT INTO causeway.ddl_log (tag, object_schema, object_name)
      SELECT command.command_tag, n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = command.objid;
  END LOOP;
END $body$;
`;

/** Idempotent. False where the user may not make event triggers; definitions are then compared when changes arrive. */
export async function installDdlLog(client: ClientBase): Promise<boolean> {
  try {
    const found = await client.query("SELECT 1 FROM pg_event_trigger WHERE evtname = 'causeway_ddl_log'");
    await client.query(ddl);
    if (found.rows.length === 0) {
      await client.query("CREATE EVENT TRIGGER causeway_ddl_log ON ddl_command_end WHEN TAG IN ('ALTER TABLE') EXECUTE PROCEDURE causeway.log_ddl()");
    }
    return true;
  } catch (error) {
    if (sqlstateOf(error) === '42501') return false;
    throw error;
  }
}

/** Idempotent. Stays while another installation captures this database, by its publication. */
export async function dropDdlLog(client: ClientBase, publicationName: string): Promise<void> {
  const others = await client.query("SELECT 1 FROM pg_publication WHERE pubname LIKE 'causeway\\_forward\\_%' AND pubname <> $1", [publicationName]);
  if (others.rows.length > 0) return;
  await client.query('DROP EVENT TRIGGER IF EXISTS causeway_ddl_log').catch((error: unknown) => {
    // Made by someone with more rights than this user has; it writes to a table that nobody reads, and goes with the schema.
    if (sqlstateOf(error) !== '42501') throw error;
  });
}
