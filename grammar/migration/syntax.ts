/**
 * One entry per statement: its form, what it does, an example. SHOW MIGRATION HELP and the documents show it; tests parse
 * every way of reading the form and the example, so that neither can go stale.
 *
 * In forms `[ ]` may be left out, `{ | }` is a choice, words in lower case are for the reader to fill in.
 */
import type { StatementType } from './statement.ts';

export interface SyntaxEntry {
  readonly form: string;
  readonly effect: string;
  readonly example: string;
}

const entry = (form: string, effect: string, example: string): SyntaxEntry => ({ form, effect, example });

const scope = '{ FOR TABLE table | FOR SCHEMA schema | ALL }';

export const syntaxTable: Readonly<Record<StatementType, SyntaxEntry>> = {
  create_server: entry(
    'CREATE SERVER [IF NOT EXISTS] server FOREIGN DATA WRAPPER postgres OPTIONS (option value [, option value])',
    'Names a legacy database and how to reach it. Nothing is connected yet.',
    "CREATE SERVER legacy FOREIGN DATA WRAPPER postgres OPTIONS (host 'db1.example.com', port '5432', dbname 'shop', sslmode 'verify-full')",
  ),
  alter_server: entry(
    'ALTER SERVER server OPTIONS ([{ ADD | SET }] option value [, DROP option])',
    'Changes how a server is reached; running migrations reconnect.',
    "ALTER SERVER legacy OPTIONS (SET host 'db2.example.com', DROP sslrootcert)",
  ),
  drop_server: entry(
    'DROP SERVER [IF EXISTS] server [{ CASCADE | RESTRICT }]',
    'Forgets a server. Refused while a source uses it; CASCADE drops its sources and user mappings too.',
    'DROP SERVER legacy CASCADE',
  ),
  create_user_mapping: entry(
    'CREATE USER MAPPING [IF NOT EXISTS] FOR { role | CURRENT_USER | PUBLIC } SERVER server OPTIONS (option value [, option value])',
    'Stores the role and password with which a server is used; the password is encrypted and never shown.',
    "CREATE USER MAPPING FOR CURRENT_USER SERVER legacy OPTIONS (user 'migrator', password 'secret')",
  ),
  alter_user_mapping: entry(
    'ALTER USER MAPPING FOR { role | CURRENT_USER | PUBLIC } SERVER server OPTIONS ([{ ADD | SET }] option value [, DROP option])',
    'Changes role or password, for instance to rotate it.',
    "ALTER USER MAPPING FOR PUBLIC SERVER legacy OPTIONS (SET password 'new secret')",
  ),
  drop_user_mapping: entry(
    'DROP USER MAPPING [IF EXISTS] FOR { role | CURRENT_USER | PUBLIC } SERVER server',
    'Forgets the credentials.',
    'DROP USER MAPPING IF EXISTS FOR PUBLIC SERVER legacy',
  ),
  create_source: entry(
    'CREATE MIGRATION SOURCE [IF NOT EXISTS] source FROM SERVER server [OPTIONS (setting value [, setting value])]',
    'Makes a server a source of migrations and sets the options that its tables start with.',
    "CREATE MIGRATION SOURCE legacy FROM SERVER legacy OPTIONS (batch_size 50000, conflict_strategy 'source_wins')",
  ),
  alter_source: entry(
    'ALTER MIGRATION SOURCE source { SET OPTION setting = value [, setting = value] | RESET OPTION setting [, setting2] }',
    'Changes options of the source; tables already started keep theirs.',
    'ALTER MIGRATION SOURCE legacy SET OPTION batch_size = 50000',
  ),
  drop_source: entry(
    'DROP MIGRATION SOURCE [IF EXISTS] source [{ CASCADE | RESTRICT }]',
    'Forgets a source. Refused while a table migrates from it; CASCADE aborts those migrations first. Tables that are LOCAL_ONLY must be completed or rolled back before.',
    'DROP MIGRATION SOURCE legacy',
  ),
  start: entry(
    'START MIGRATION { FOR TABLE table FROM source | { FOR SCHEMA schema | ALL } FROM source [EXCLUDING (table [, table])] [INCLUDING ONLY (table [, table])] } [OPTIONS (setting value [, setting value])]',
    'Starts to migrate: captures changes, creates the table on local, copies its rows, then follows the source.',
    "START MIGRATION FOR TABLE public.orders FROM legacy OPTIONS (parallel_workers 8, where_clause 'created_at > ''2024-01-01''')",
  ),
  alter_migration: entry(
    `ALTER MIGRATION ${scope} SET OPTION { compare_percent = percentage [, read_from = side] | read_from = side }`,
    "Changes options of tables that have started: compare_percent, and read_from between 'source' and 'compare'. It counts at once.",
    'ALTER MIGRATION FOR TABLE public.orders SET OPTION compare_percent = 50',
  ),
  accept_type_loss: entry(
    'ALTER MIGRATION { FOR TABLE table ACCEPT TYPE LOSS [FOR COLUMN name] | { FOR SCHEMA schema | ALL } ACCEPT TYPE LOSS }',
    'Accepts what SHOW MIGRATION TYPE LOSS lists, and more values of the same kinds: a cutover goes without what is lost.',
    'ALTER MIGRATION FOR TABLE shop.orders ACCEPT TYPE LOSS FOR COLUMN born',
  ),
  pause: entry(
    `PAUSE MIGRATION ${scope}`,
    'Stops loading and applying. Changes are still captured; reads go to the source until RESUME.',
    'PAUSE MIGRATION FOR TABLE public.orders',
  ),
  resume: entry(
    `RESUME MIGRATION ${scope} [ACCEPT DDL] [SKIP ROW]`,
    'Goes on after PAUSE or an error. ACCEPT DDL takes the source\'s new definition over; SKIP ROW leaves out the row that failed, and logs it.',
    'RESUME MIGRATION FOR TABLE public.orders SKIP ROW',
  ),
  abort: entry(
    `ABORT MIGRATION ${scope}`,
    'Ends a migration that has not been cut over: the source stays the truth, progress is discarded.',
    'ABORT MIGRATION FOR TABLE public.orders',
  ),
  validate: entry(
    `VALIDATE MIGRATION ${scope} [{ FULL | SAMPLE [percentage] }] [REPAIR { COPY_FROM_SOURCE | COPY_TO_SOURCE | SKIP | MANUAL }]`,
    'Compares both sides while they are in use. FULL compares every row, SAMPLE a part of the chunks; REPAIR says what becomes of rows that differ.',
    'VALIDATE MIGRATION FOR TABLE public.orders FULL REPAIR COPY_FROM_SOURCE',
  ),
  resync: entry(
    "RESYNC MIGRATION FOR TABLE table [WHERE 'condition']",
    'Copies the table again from a new position, or only the rows that meet the condition.',
    "RESYNC MIGRATION FOR TABLE public.orders WHERE 'id > 1000'",
  ),
  complete: entry(
    'COMPLETE MIGRATION FOR TABLE table',
    'Ends the rollback window of a table that is LOCAL_ONLY: the reverse stream and the fence on the source go. There is no way back from it.',
    'COMPLETE MIGRATION FOR TABLE public.orders',
  ),
  cutover: entry(
    'CUTOVER { TABLE table [SPLIT] | GROUP OF table | SCHEMA schema [TOGETHER] | ALL } [FORCE] [NO FENCE] [NO ROLLBACK] [NO GRANTS] [TIMEOUT seconds]',
    'Makes local the truth. Clients wait for the short pause, none gets an error; over TIMEOUT nothing is changed. FORCE skips validation only; SPLIT moves a table without those it is tied to; TOGETHER moves a whole schema in one pause; NO FENCE leaves writers that bypass the gateway unchecked; NO ROLLBACK gives up the way back; NO GRANTS goes though users may do less on local than on the source.',
    'CUTOVER GROUP OF public.orders TIMEOUT 10',
  ),
  rollback: entry(
    'ROLLBACK MIGRATION { FOR TABLE table | FOR SCHEMA schema [TOGETHER] | FOR GROUP OF table } [PRESERVE LOCAL DATA] [TIMEOUT seconds]',
    'Makes the source the truth again without losing a row. PRESERVE LOCAL DATA keeps local in step (DUAL_WRITE), else the table ends NOT_STARTED.',
    'ROLLBACK MIGRATION FOR TABLE public.orders PRESERVE LOCAL DATA TIMEOUT 30',
  ),
  check: entry(
    'CHECK MIGRATION { FOR TABLE table | FOR SCHEMA schema } FROM source',
    'Preflight: every finding with its severity and its remedy. Changes nothing.',
    'CHECK MIGRATION FOR TABLE public.orders FROM legacy',
  ),
  explain_route: entry(
    'EXPLAIN ROUTE statement',
    'Where the gateway would run the statement, table by table, and why. The statement is not run.',
    'EXPLAIN ROUTE SELECT * FROM orders JOIN customers USING (customer_id)',
  ),
  explain_cutover: entry(
    'EXPLAIN CUTOVER TABLE table',
    'The pause that a cutover would take, and every condition that stands in its way.',
    'EXPLAIN CUTOVER TABLE public.orders',
  ),
  show_status: entry(
    'SHOW MIGRATION STATUS [FOR TABLE table]',
    'Every migrated table with state, progress, lag and the command that comes next; or one table in detail.',
    'SHOW MIGRATION STATUS FOR TABLE public.orders',
  ),
  show_progress: entry(
    "SHOW MIGRATION PROGRESS FOR TABLE table [INTERVAL 'time'] [LAST 'time']",
    'Rows, changes and lag over time.',
    "SHOW MIGRATION PROGRESS FOR TABLE public.orders INTERVAL '1 hour' LAST '24 hours'",
  ),
  show_conflicts: entry(
    'SHOW MIGRATION CONFLICTS [FOR TABLE table] [UNRESOLVED] [LIMIT rows]',
    'Conflicts with both rows and what was done about them.',
    'SHOW MIGRATION CONFLICTS FOR TABLE public.orders UNRESOLVED LIMIT 20',
  ),
  show_errors: entry(
    "SHOW MIGRATION ERRORS [FOR TABLE table] [LAST 'time']",
    'Errors with their code, cause and next step.',
    "SHOW MIGRATION ERRORS LAST '1 hour'",
  ),
  show_sources: entry('SHOW MIGRATION SOURCES', 'Every source with its server and options.', 'SHOW MIGRATION SOURCES'),
  show_servers: entry('SHOW MIGRATION SERVERS', 'Every server with its address, without secrets.', 'SHOW MIGRATION SERVERS'),
  show_groups: entry('SHOW MIGRATION GROUPS', 'Tables that have to move together, and what ties them.', 'SHOW MIGRATION GROUPS'),
  show_why: entry(
    'SHOW MIGRATION WHY FOR TABLE table',
    'Why a table is not further than it is, and what to do next.',
    'SHOW MIGRATION WHY FOR TABLE public.orders',
  ),
  show_shadow_reads: entry(
    'SHOW MIGRATION SHADOW READS [FOR TABLE table]',
    'Reads that were answered by the source and asked of local as well: per statement what came of the comparison, and how long each side took.',
    'SHOW MIGRATION SHADOW READS FOR TABLE public.orders',
  ),
  show_type_loss: entry(
    'SHOW MIGRATION TYPE LOSS [FOR TABLE table]',
    'Values that a policy of type_map changed on their way, by column with examples, and definitions that local lacks; what is not accepted stands in the way of a cutover.',
    'SHOW MIGRATION TYPE LOSS FOR TABLE shop.orders',
  ),
  show_help: entry(
    'SHOW MIGRATION HELP [topic]',
    'This help. A topic is the beginning of a statement, an option\'s name, or OPTIONS.',
    'SHOW MIGRATION HELP CUTOVER',
  ),
  gateway_pools: entry('SHOW POOLS', 'Each user on each database: how many clients are in and wait, for how long, and how many connections they have.', 'SHOW POOLS'),
  gateway_clients: entry('SHOW CLIENTS', 'Every client of every gateway process, those that wait for a place among them.', 'SHOW CLIENTS'),
  gateway_servers: entry('SHOW SERVERS', 'Every connection that a session has to the source or to local.', 'SHOW SERVERS'),
  gateway_databases: entry('SHOW DATABASES', 'The database on each side, with its limit and its connections.', 'SHOW DATABASES'),
  gateway_stats: entry('SHOW STATS', 'Transactions, queries, bytes and times of each database since the gateway processes were started.', 'SHOW STATS'),
  gateway_lists: entry('SHOW LISTS', 'How many there are of everything.', 'SHOW LISTS'),
  gateway_config: entry('SHOW CONFIG', 'Every setting with its value and its default, without secrets.', 'SHOW CONFIG'),
};

export const statementTypes = Object.keys(syntaxTable) as readonly StatementType[];
