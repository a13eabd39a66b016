# What applications do through Ruby's pg, on the tables of setup.sql; prints each statement's outcome as a line `name => what came`.
require 'pg'
require 'timeout'

$printed = 0

ERROR_FIELDS = %i[SEVERITY_NONLOCALIZED SQLSTATE MESSAGE_PRIMARY MESSAGE_DETAIL MESSAGE_HINT STATEMENT_POSITION INTERNAL_POSITION INTERNAL_QUERY CONTEXT
                  SCHEMA_NAME TABLE_NAME COLUMN_NAME DATATYPE_NAME CONSTRAINT_NAME SOURCE_FUNCTION].freeze

def fields(result)
  ERROR_FIELDS.map { |name| [name, result.error_field(PG.const_get("PG_DIAG_#{name}"))] }.reject { |_, value| value.nil? }.map { |name, value| "#{name}=#{value.inspect}" }.join(' ')
end

def say(name)
  $printed += 1
  came = begin
    yield.inspect
  rescue PG::Error => error
    result = error.respond_to?(:result) ? error.result : nil
    result ? "error #{error.class} #{fields(result)}" : "error #{error.class} #{error.message.lines.first.to_s.strip.sub(/port \d+/, 'port')}"
  rescue ArgumentError, TypeError, RangeError => error
    "error #{error.class}"
  end
  puts "#{name} => #{came}"
end

# What can be seen of an answer; table numbers are for comparing with none only.
def seen(result)
  result.check
  columns = (0...result.nfields).map { |i| [result.fname(i), result.ftype(i), result.fmod(i), result.fformat(i), result.fsize(i), result.ftable(i).zero? ? nil : result.ftablecol(i)] }
  [result.cmd_status, result.cmd_tuples, columns, result.values]
end

def connect(**options)
  PG.connect(host: ENV['PGHOST'], port: ENV['PGPORT'], user: ENV['PGUSER'], dbname: ENV['PGDATABASE'], **options)
end

def drain(connection)
  found = []
  while (result = connection.get_result)
    found << begin
      [result.res_status(result.result_status), seen(result)]
    rescue PG::Error => error
      [result.res_status(result.result_status), fields(error.result)]
    end
  end
  found
end

def statements(db)
  say('truncate') { seen(db.exec('TRUNCATE item, entry RESTART IDENTITY')) }
  (1..8).each do |n|
    values = ["item #{n}", format('%.2f', n * 1.25), "2024-01-0#{n}", "{a,NULL,\"q#{n}\"}", "{\"n\": #{n}}", "2024-03-0#{n} 01:02:03+00"]
    say('insert') { seen(db.exec_params('INSERT INTO item(name, price, made, flags, doc, at) VALUES ($1, $2, $3, $4, $5, $6) RETURNING id, name, price, made, flags, doc', values)) }
    say('read') { seen(db.exec_params('SELECT id, name, price FROM item WHERE id = $1', [n])) }
    say('read of the other side') { seen(db.exec_params('SELECT v FROM plain WHERE id = $1', [n])) }
    say('read, simple') { seen(db.exec("SELECT id, made, flags FROM item WHERE id <= #{n} ORDER BY id DESC LIMIT 2")) }
    say('binary') { seen(db.exec_params('SELECT id, name, price, made, doc::text, at FROM item WHERE id = $1::int', [{ value: [n].pack('N'), type: 23, format: 1 }], 1)) }
  end
  say('prepare') { seen(db.prepare('by_id', 'SELECT name, price FROM item WHERE id = $1')) }
  say('describe prepared') { r = db.describe_prepared('by_id'); [r.nparams, r.paramtype(0), r.fields, (0...r.nfields).map { |i| r.ftype(i) }] }
  (1..4).each { |n| say('exec prepared') { seen(db.exec_prepared('by_id', [n])) } }
  say('exec prepared, binary') { seen(db.exec_prepared('by_id', [3], 1)) }
  say('prepare again') { db.prepare('by_id', 'SELECT 1') }
  say('prepare with types') { seen(db.prepare('typed', 'SELECT $1 + 1, $2', [20, 25])) }
  say('exec typed') { seen(db.exec_prepared('typed', [41, 'x'])) }
  say('too few values') { db.exec_prepared('typed', [41]) }
  say('execute in SQL') { seen(db.exec('EXECUTE by_id(2)')) }
  say('prepare in SQL') { seen(db.exec('PREPARE in_sql(int) AS SELECT name FROM item WHERE id = $1')) }
  say('its execution by the protocol') { seen(db.exec_prepared('in_sql', [4])) }
  say('deallocate') { seen(db.exec('DEALLOCATE in_sql')) }
  say('after it') { db.exec_prepared('in_sql', [4]) }
  say('missing statement') { db.exec_prepared('no_such', []) }
end

def errors(db)
  ['SELECT nothing FROM item', 'SELEC 1', 'SELECT * FROM missing', 'INSERT INTO item(name) VALUES (NULL)', "INSERT INTO item(name, price) VALUES ('x', -1)", "INSERT INTO item(id, name) VALUES (1, 'twice')", 'SELECT 1 / 0',
   "UPDATE item SET made = 'x'", 'SELECT twice()', "SELECT 'ä' || nothing", "DO $$ BEGIN RAISE EXCEPTION 'own' USING ERRCODE = 'AB123', DETAIL = 'd', HINT = 'h', TABLE = 't', COLUMN = 'c'; END $$", "\n\n  SELECT ghost FROM item", 'COMMIT AND'].each do |text|
    say("error: #{text.strip}") { db.exec(text) }
    say("error, with values: #{text.strip}") { db.exec_params(text, []) }
  end
  say('error class') { begin; db.exec("INSERT INTO item(id, name) VALUES (1, 'twice')"); rescue PG::UniqueViolation => error; error.class; end }
  say('empty query') { db.exec('').result_status == PG::PGRES_EMPTY_QUERY }
  say('several') { seen(db.exec("SELECT count(*) FROM item; UPDATE item SET price = price WHERE id < 3; SELECT 2 AS last")) }
  say('several, one wrong') { db.exec("INSERT INTO plain VALUES (900, 'x'); SELECT 1 / 0") }
  say('which left nothing') { seen(db.exec('SELECT count(*) FROM plain WHERE id = 900')) }
end

def values_and_types(db)
  results = PG::BasicTypeMapForResults.new(db)
  queries = PG::BasicTypeMapForQueries.new(db)
  ['1::int', '-7::bigint', '1.50::numeric', "'NaN'::float8", "'ä'::text", "'\\x00ff'::bytea", "'2024-02-29'::date", "'2024-02-29 12:00:00.5'::timestamp", "'2024-02-29 12:00:00+02'::timestamptz", 'true', "'{1,NULL,3}'::int[]", "'{{a,b},{c,d}}'::text[]",
   "'{\"a\": [1, null]}'::jsonb", 'NULL::int', "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid", "'10.0.0.0/8'::cidr", "'1 day 02:00'::interval", 'row(1, NULL)', "'[1,5)'::int4range"].each do |text|
    say("value #{text}") { seen(db.exec("SELECT #{text} AS v")) }
    say("mapped #{text}") { result = db.exec("SELECT #{text} AS v"); result.type_map = results; result.values }
    say("binary #{text}") { seen(db.exec_params("SELECT #{text} AS v", [], 1)) }
  end
  say('values by type map') { seen(db.exec_params('SELECT $1, $2, $3, $4, $5', [1, 1.5, true, nil, [1, 2]], 0, queries)) }
  say('rows as they come') { found = []; db.exec('SELECT id, name FROM item ORDER BY id').each_row { |row| found << row }; found }
  say('tuple') { db.exec('SELECT id, name FROM item WHERE id = 2').tuple(0).to_h }
  say('column') { db.exec('SELECT name FROM item ORDER BY id').column_values(0) }
  say('escape') { [db.escape_literal("a'b\\"), db.escape_identifier('A"b'), db.escape_string("x'y"), db.escape_bytea("\0\xff".b)] }
end

def copies(db)
  row = PG::TextEncoder::CopyRow.new
  say('copy in') { seen(db.copy_data('COPY entry FROM STDIN', row) { (1..200).each { |n| db.put_copy_data([n, n % 7 == 0 ? nil : "note\t#{n}"]) } }) }
  say('what is there') { seen(db.exec('SELECT count(*), sum(item), count(note), min(note) FROM entry')) }
  say('copy out') { found = []; db.copy_data('COPY (SELECT * FROM entry ORDER BY item LIMIT 9) TO STDOUT', PG::TextDecoder::CopyRow.new) { while (line = db.get_copy_data) do found << line end }; found }
  say('copy out, csv') { found = []; db.copy_data('COPY entry(item) TO STDOUT (FORMAT csv, HEADER)') { while (line = db.get_copy_data) do found << line end }; [found.size, found.first] }
  say('copy out, binary') { found = []; db.copy_data('COPY (SELECT item, note FROM entry ORDER BY item LIMIT 3) TO STDOUT (FORMAT binary)') { while (line = db.get_copy_data) do found << line end }; found }
  say('copy in that the server refuses') { db.copy_data('COPY entry FROM STDIN') { db.put_copy_data("x\ty\n") } }
  say('copy in that the client gives up') { begin; db.copy_data('COPY entry FROM STDIN') { db.put_copy_data("1\ty\n"); raise 'enough' }; rescue RuntimeError => error; error.message; end }
  say('copy of what is missing') { db.copy_data('COPY missing TO STDOUT') { db.get_copy_data } }
  say('copy out given up') { begin; db.copy_data('COPY entry TO STDOUT') { db.get_copy_data; raise 'enough' }; rescue RuntimeError => error; error.message; end }
  say('still the same') { seen(db.exec('SELECT count(*) FROM entry')) }
end

def blocks(db)
  say('block') { db.transaction { |c| seen(c.exec_params('UPDATE item SET price = price + 1 WHERE id = $1 RETURNING price', [1])) } }
  say('block that fails') { db.transaction { |c| c.exec("UPDATE item SET price = 0 WHERE id = 1"); c.exec('SELECT 1 / 0') } }
  say('which left nothing') { seen(db.exec('SELECT price FROM item WHERE id = 1')) }
  ['BEGIN ISOLATION LEVEL REPEATABLE READ', "INSERT INTO entry VALUES (1000, 'a')", 'SAVEPOINT s', 'SELECT 1 / 0', 'SELECT 1', 'ROLLBACK TO s', 'SELECT count(*) FROM entry WHERE item = 1000', 'RELEASE s', 'COMMIT', 'SELECT count(*) FROM entry WHERE item = 1000', 'ROLLBACK',
   'BEGIN', 'DECLARE c SCROLL CURSOR FOR SELECT id, name FROM item ORDER BY id', 'FETCH 2 FROM c', 'MOVE 1 IN c', 'FETCH BACKWARD 1 FROM c', 'CLOSE c', 'FETCH 1 FROM c', 'COMMIT'].each do |text|
    say("in a block: #{text}") { [seen(db.exec(text)), db.transaction_status] }
    say("state after it: #{text}") { db.transaction_status }
  end
  say('describe portal') { db.transaction { |c| c.exec('DECLARE p CURSOR FOR SELECT id, made FROM item'); r = c.describe_portal('p'); [r.fields, (0...r.nfields).map { |i| r.ftype(i) }] } }
  say('large object') { db.transaction { |c| oid = c.lo_creat; fd = c.lo_open(oid, PG::INV_WRITE | PG::INV_READ); [c.lo_write(fd, 'x' * 5000), c.lo_lseek(fd, 10, PG::SEEK_SET), c.lo_read(fd, 5), c.lo_tell(fd), c.lo_truncate(fd, 100), c.lo_close(fd), c.lo_unlink(oid)] } }
end

# On the server: a cancel that comes before the statement hits nothing.
def wait_until_busy(db)
  other = connect
  sleep 0.02 until other.exec_params("SELECT state FROM pg_stat_activity WHERE pid = $1", [db.backend_pid]).getvalue(0, 0) == 'active'
  other.close
end

def heard_by(db, timeout)
  found = nil
  db.wait_for_notify(timeout) { |channel, pid, extra| found = [channel, pid == db.backend_pid, extra] }
  found
end

def asynchronous(db)
  say('send query') { db.send_query('SELECT 1 AS a; SELECT 2 AS b'); drain(db) }
  say('send query with values') { db.send_query_params('SELECT name FROM item WHERE id = $1', [2]); drain(db) }
  say('send prepare') { db.send_prepare('sent', 'SELECT v FROM plain WHERE id = $1'); drain(db) }
  say('send describe') { db.send_describe_prepared('sent'); drain(db).map(&:first) }
  say('send query prepared') { db.send_query_prepared('sent', [3]); drain(db) }
  say('row by row') { db.send_query('SELECT id, name FROM item ORDER BY id'); db.set_single_row_mode; drain(db).map { |status, found| [status, found.is_a?(Array) ? found[3] : found] } }
  say('row by row, an error in the middle') { db.send_query('SELECT 10 / (3 - g) FROM generate_series(1, 5) g'); db.set_single_row_mode; drain(db).map { |status, found| [status, found.is_a?(Array) ? found[3] : found] } }
  say('cancel') { db.send_query('SELECT pg_sleep(20)'); wait_until_busy(db); refused = db.cancel; [refused, drain(db)] }
  say('after the cancel') { seen(db.exec('SELECT 1')) }
  say('statement timeout') { db.exec("SET statement_timeout = '100ms'"); db.exec('SELECT pg_sleep(20)') }
  say('reset of it') { seen(db.exec('RESET statement_timeout')) }
end

def pipelines(db)
  say('pipeline') do
    db.enter_pipeline_mode
    (1..5).each { |n| db.send_query_params('SELECT name FROM item WHERE id = $1', [n]) }
    db.send_query_params("INSERT INTO entry VALUES ($1, 'piped') RETURNING item", [2000])
    db.pipeline_sync
    found = 7.times.map { drain(db) }
    db.exit_pipeline_mode
    found
  end
  say('pipeline with an error') do
    db.enter_pipeline_mode
    db.send_query_params("INSERT INTO entry VALUES ($1, 'lost')", [2001])
    db.send_query_params('SELECT 1 / $1::int', [0])
    db.send_query_params('SELECT 2', [])
    db.pipeline_sync
    db.send_query_params('SELECT 3', [])
    db.pipeline_sync
    found = 6.times.map { drain(db) }
    db.exit_pipeline_mode
    found
  end
  say('which left nothing') { seen(db.exec('SELECT count(*) FROM entry WHERE item = 2001')) }
end

def session(db)
  say('settings') { ["SET application_name = 'ruby'", 'SHOW application_name', "SET TimeZone = 'Asia/Tokyo'", "SELECT '2024-01-01 00:00+00'::timestamptz::text", "SET my.own = 'x'", "SELECT current_setting('my.own')", 'RESET ALL', 'SHOW application_name', 'DISCARD ALL'].map { |text| seen(db.exec(text)) } }
  say('after discard') { db.exec_prepared('by_id', [1]) }
  say('parameters') { %w[server_encoding client_encoding is_superuser session_authorization DateStyle integer_datetimes standard_conforming_strings].map { |name| db.parameter_status(name) } }
  say('encoding') { db.set_client_encoding('LATIN1'); [db.get_client_encoding, db.exec("SELECT 'ä'").getvalue(0, 0).bytes, (db.client_encoding = 'UTF8')] }
  say('notices') { heard = []; db.set_notice_processor { |text| heard << text.strip }; db.exec("DO $$ BEGIN RAISE NOTICE 'heard %', 1; RAISE WARNING 'too'; END $$"); db.exec('DROP TABLE IF EXISTS missing'); heard }
  say('temporary table') { ['CREATE TEMP TABLE kept(a int)', 'INSERT INTO kept SELECT g FROM generate_series(1, 3) g', 'SELECT sum(a) FROM kept', 'DROP TABLE kept'].map { |text| seen(db.exec(text)) } }
  other = connect
  say('listen') { db.exec('LISTEN heard'); other.exec("NOTIFY heard, 'hello'"); heard_by(db, 5) }
  say('listen, own') { db.exec("NOTIFY heard, 'self'"); heard_by(db, 5) }
  say('unlisten') { db.exec('UNLISTEN *'); other.exec('NOTIFY heard'); heard_by(db, 0.2) }
  say('process') { db.backend_pid == db.exec('SELECT pg_backend_pid()').getvalue(0, 0).to_i }
  say('protocol and versions') { [db.protocol_version, db.server_version >= 100_000, db.status] }
  other.close
  say('closed') { other.exec('SELECT 1') }
  say('reset') { db.reset; seen(db.exec('SELECT 1')) }
  say('a database that is not there') { connect(dbname: 'no_such_database') }
  say('start-up options') { c = connect(options: '-c work_mem=3MB', application_name: 'opt'); found = [c.exec('SHOW work_mem').values, c.exec('SHOW application_name').values, c.exec('RESET work_mem; SHOW work_mem').values]; c.close; found }
end

Timeout.timeout(50) do
  db = connect
  statements(db)
  errors(db)
  values_and_types(db)
  copies(db)
  blocks(db)
  asynchronous(db)
  pipelines(db)
  session(db)
  db.close
end
puts "statements => #{$printed}"
