"""
cqlsh at work on a Cassandra cluster: `name => line`, for each line that it prints to a statement. Arguments: host, port, keyspace to make, data centre.
Run by the Python that has cqlsh. A line that begins with `?` asks for something to be done before the next line of input.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

host, port, ks = sys.argv[1], sys.argv[2], sys.argv[3]
folder = tempfile.mkdtemp(prefix='causeway-cqlsh-')
binary = os.path.join(os.path.dirname(sys.executable), 'cqlsh')
environment = {**os.environ, 'PYTHONUNBUFFERED': '1', 'HOME': folder, 'CQLSH_NO_BUNDLED': 'TRUE', 'TZ': 'UTC'}


def log_in(ca, user, password):
    """Over TLS, with a name and a password, and with those that are refused."""
    for name, options in [('right', ['--ssl', '-u', user, '-p', password]), ('wrong', ['--ssl', '-u', user, '-p', 'wrong']), ('nobody', ['--ssl']), ('plain', ['-u', user, '-p', password, '--connect-timeout', '2'])]:
        statements = f"INSERT INTO {ks}.t (k, v) VALUES (1, '{name}'); SELECT v FROM {ks}.t WHERE k = 1;"
        ended = subprocess.run([sys.executable, binary, '--cqlshrc', os.path.join(folder, 'none'), '--protocol-version', '4', *options, '-e', statements, host, port], capture_output=True, text=True, env={**environment, 'SSL_CERTFILE': ca, 'SSL_VALIDATE': 'true'})
        print(f"{name} => {ended.stdout.split('(1 rows)')[0].split()[-1] if ended.returncode == 0 else 'refused ' + ended.stderr.strip()}".replace('\n', ' '))
    shutil.rmtree(folder)
    sys.exit(0)


if sys.argv[5:]:
    log_in(*sys.argv[5:])
shell = subprocess.Popen([sys.executable, binary, '--cqlshrc', os.path.join(folder, 'none'), '--protocol-version', '4', '--request-timeout', '60', '--connect-timeout', '60', '--encoding', 'utf-8', host, port],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)
checks = 0
# What depends on the moment: times, rates, the line of the input, and whether the driver has noted a failure before it gives up.
noise = [(re.compile(r'<stdin>:\d+:'), ''), (re.compile(r'files in .*?seconds'), 'files in n'), (re.compile(r'(operation against any hosts).*'), r'\1'), (re.compile(r'\d+(\.\d+)? (seconds|rows/s)'), 'n'), (re.compile(r'[0-9a-f]{8}-[0-9a-f]{4}-1[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}'), 'TIMEUUID'), (re.compile(re.escape(folder)), 'FOLDER'), (re.compile(r'\s*Request complete.*'), 'Request complete'), (re.compile(r'\d+ child process\w*'), 'children')]


def answer(statement):
    """What it prints until it answers the question after it."""
    shell.stdin.write(statement + '\nEXPAND;\n')
    shell.stdin.flush()
    lines = []
    while True:
        line = shell.stdout.readline()
        if line == '' or re.match(r'EXPAND is O', line):
            return lines
        for pattern, word in noise:
            line = pattern.sub(word, line)
        lines.append(line.rstrip())


def check(name, statement, keep=lambda line: True):
    global checks
    checks += 1
    found = [line for line in answer(statement) if line.strip() and not line.startswith('Processed') and keep(line)]
    for line in found or ['nothing']:
        print(f'{name} => {line}', flush=True)


def ask(what):
    print(f'? {what}', flush=True)
    sys.stdin.readline()


answer('')
check('version', 'SHOW VERSION;')
check('host', 'SHOW HOST;')
check('create keyspace', f"CREATE KEYSPACE {ks} WITH replication = {{'class': 'SimpleStrategy', 'replication_factor': 1}};")
check('use', f'USE {ks};')
check('consistency', 'CONSISTENCY;')
check('consistency set', 'CONSISTENCY LOCAL_QUORUM;')
check('serial consistency', 'SERIAL CONSISTENCY LOCAL_SERIAL;')
check('type', 'CREATE TYPE address (street text, zip int, phones frozen<set<text>>);')
check('wide', "CREATE TABLE wide (k int, c int, v text, st text static, PRIMARY KEY (k, c)) WITH CLUSTERING ORDER BY (c DESC) AND comment = 'it''s wide';")
check('everything', 'CREATE TABLE everything (k int PRIMARY KEY, a ascii, b bigint, bl blob, bo boolean, da date, de decimal, d double, du duration, f float, ip inet, si smallint, ti time, ts timestamp, tiny tinyint, u uuid, vi varint, l list<int>, s set<text>, m map<text, int>, tp tuple<int, text>, ad address, fad frozen<address>, v vector<float, 3>);')
check('counts', 'CREATE TABLE counts (k int PRIMARY KEY, n counter);')
check('cond', 'CREATE TABLE cond (k int PRIMARY KEY, v text);')
check('index', 'CREATE INDEX wide_v ON wide (v);')
check('function refused', "CREATE FUNCTION twice (x int) RETURNS NULL ON NULL INPUT RETURNS int LANGUAGE java AS 'return x * 2;';")
check('already there', 'CREATE TABLE cond (k int PRIMARY KEY);')
check('describe tables', 'DESCRIBE TABLES;')
check('describe types', 'DESCRIBE TYPES;')
check('describe keyspace', f'DESCRIBE KEYSPACE {ks};')
check('describe table', 'DESCRIBE TABLE wide;')
check('describe type', 'DESC TYPE address;')
check('describe index', 'DESCRIBE INDEX wide_v;')
check('describe nothing', 'DESCRIBE TABLE nothing;')
check('describe cluster', 'DESCRIBE CLUSTER;', lambda line: 'Partitioner' in line or 'Snitch' in line)
check('describe full schema', 'DESCRIBE FULL SCHEMA;', lambda line: f'{ks}.' in line)
check('insert', """INSERT INTO everything (k, a, b, bl, bo, da, de, d, du, f, ip, si, ti, ts, tiny, u, vi, l, s, m, tp, ad, fad, v) VALUES (1, 'ascii', 9223372036854775807, 0x00ff, true, '2024-02-29', -1.50, 1.5e300, 1mo2d3ns, -1.5, '2001:db8::1', -32768, '23:59:59.999999999', '2024-02-29 23:59:59.999+0000', 127, 00000000-0000-0000-0000-000000000001, -12345678901234567890123, [3, 1, 3], {'b', 'a'}, {'x': 1}, (1, 'ü€𝄞'), {street: 'st', zip: 5, phones: {'1'}}, {street: 'frozen'}, [1.5, -2, 0.25]);""")
check('insert nulls', 'INSERT INTO everything (k) VALUES (2);')
check('select', 'SELECT * FROM everything;')
check('expand on', 'EXPAND ON')
check('select expanded', 'SELECT * FROM everything;')
check('expand off', 'EXPAND OFF')
check('json', 'SELECT JSON k, a, m, ad FROM everything WHERE k = 1;')
check('insert json', """INSERT INTO everything JSON '{"k": 3, "l": [1, 2], "m": {"a": 1}}';""")
check('update collections', "UPDATE everything SET l = l + [9], l[0] = 7, s = s + {'c'}, m['y'] = 2, ad.zip = 12 WHERE k = 1;")
check('delete elements', "DELETE l[1], m['x'] FROM everything WHERE k = 1;")
check('select collections', 'SELECT l, s, m, ad FROM everything WHERE k = 1;')
for c in range(30):
    answer(f"INSERT INTO wide (k, c, v) VALUES (1, {c}, 'row {c}');")
check('using', "INSERT INTO wide (k, c, v) VALUES (2, 1, 'kept') USING TIMESTAMP 1234567 AND TTL 100000;")
check('writetime', 'SELECT v, WRITETIME(v) FROM wide WHERE k = 2;')
check('static', "UPDATE wide SET st = 'static' WHERE k = 2; SELECT * FROM wide WHERE k = 2;")
check('batch', "BEGIN BATCH INSERT INTO wide (k, c, v) VALUES (3, 1, 'a'); UPDATE wide SET v = 'b' WHERE k = 3 AND c = 2; DELETE FROM wide WHERE k = 3 AND c = 9; APPLY BATCH;")
check('after the batch', 'SELECT * FROM wide WHERE k = 3;')
check('unlogged batch warns', 'BEGIN UNLOGGED BATCH ' + ' '.join(f"INSERT INTO wide (k, c, v) VALUES ({100 + each}, 1, 'w');" for each in range(12)) + ' APPLY BATCH;')
check('counter', 'UPDATE counts SET n = n + 5 WHERE k = 1;')
check('counter batch', 'BEGIN COUNTER BATCH UPDATE counts SET n = n + 1 WHERE k = 1; UPDATE counts SET n = n - 3 WHERE k = 1; APPLY BATCH;')
check('counter read', 'SELECT * FROM counts;')
check('conditional', "INSERT INTO cond (k, v) VALUES (1, 'a') IF NOT EXISTS;")
check('conditional again', "INSERT INTO cond (k, v) VALUES (1, 'b') IF NOT EXISTS;")
check('conditional update', "UPDATE cond SET v = 'c' WHERE k = 1 IF v = 'a';")
check('conditional batch', "BEGIN BATCH INSERT INTO cond (k, v) VALUES (2, 'x') IF NOT EXISTS; APPLY BATCH;")
# Traces have two copies, of which one node has one.
check('consistency back', 'CONSISTENCY ONE;')
check('tracing', 'TRACING ON;')
check('traced', 'SELECT v FROM wide WHERE k = 3 AND c = 1;', lambda line: 'Request complete' in line or line.strip() == 'a')
check('tracing off', 'TRACING OFF;')
check('paging', 'PAGING 7;')
check('pages', 'SELECT c FROM wide WHERE k = 1;')
check('paging off', 'PAGING OFF')
check('distinct', 'SELECT DISTINCT k, st FROM wide WHERE k IN (1, 2);')
check('aggregates', 'SELECT k, count(*), max(c) FROM wide WHERE k IN (1, 2) GROUP BY k;')
for name, text in [('syntax', 'SELEC 1;'), ('no table', 'SELECT * FROM nothing;'), ('no column', 'SELECT nothing FROM wide;'), ('filtering', 'SELECT * FROM wide WHERE c = 1;'), ('type', "INSERT INTO wide (k, c) VALUES ('a', 1);"), ('use', 'USE nowhere_at_all;'), ('no key', "UPDATE wide SET v = 'x' WHERE k = 1;")]:
    check(f'error: {name}', text)
check('unavailable', 'CONSISTENCY THREE; SELECT * FROM cond; CONSISTENCY ONE;')
check('list roles', 'LIST ROLES;')
check('login', "LOGIN cassandra 'cassandra';")
check('system tables', 'SELECT key, data_center, partitioner FROM system.local;')
check('peers', 'SELECT peer FROM system.peers;')
check('virtual tables', "SELECT name FROM system_views.settings WHERE name = 'partitioner';")
check('source', f"SOURCE '{folder}/absent.cql';")
copied = lambda line: not line.startswith(('Using', 'Starting copy', 'Reading options')) and 'Avg. rate' not in line
check('copy to', f"COPY wide (k, c, v) TO '{folder}/wide.csv' WITH HEADER = true AND NUMPROCESSES = 1;", copied)
with open(f'{folder}/wide.csv') as written:
    for line in sorted(written):
        print(f'copied => {line.strip()}')
check('copy target', 'CREATE TABLE wide_copy (k int, c int, v text, PRIMARY KEY (k, c));')
check('copy from', f"COPY wide_copy (k, c, v) FROM '{folder}/wide.csv' WITH HEADER = true AND NUMPROCESSES = 1 AND CHUNKSIZE = 10;", copied)
check('copied back', 'SELECT count(*), sum(c) FROM wide_copy;')
# Durations and user-defined types are written by it, and not read.
read = '(k, a, b, bl, bo, da, de, d, f, ip, si, ti, ts, tiny, u, vi, l, s, m, tp)'
check('copy to everything', f"COPY everything {read} TO '{folder}/everything.csv' WITH NUMPROCESSES = 1;", copied)
check('copy from everything', f"COPY everything {read} FROM '{folder}/everything.csv' WITH NUMPROCESSES = 1;", copied)
check('everything is the same', 'SELECT k, a, b, de, du, ip, ti, ts, u, vi, l, s, m, tp, ad, fad FROM everything;')
check('alter', 'ALTER TABLE cond ADD w int;')
check('altered', 'SELECT * FROM cond;')

ask('half')
check('after the switch: rows', 'SELECT * FROM wide WHERE k = 3;')
check('after the switch: write', "INSERT INTO wide (k, c, v) VALUES (60, 1, 'after');")
check('after the switch: read', 'SELECT * FROM wide WHERE k = 60;')
check('after the switch: counter', 'UPDATE counts SET n = n + 1 WHERE k = 1; SELECT * FROM counts;')
check('after the switch: conditional', "INSERT INTO cond (k, v) VALUES (1, 'no') IF NOT EXISTS;")
check('after the switch: describe', 'DESCRIBE TABLE wide;')
check('after the switch: define', 'CREATE TABLE later (k int PRIMARY KEY); DESCRIBE TABLES; DROP TABLE later;')

ask('restart')
deadline = time.time() + 60
while time.time() < deadline and not any('after' in line for line in answer('SELECT v FROM wide WHERE k = 60;')):
    time.sleep(0.1)
check('after a restart: read', 'SELECT * FROM wide WHERE k = 60;')
check('after a restart: write', "INSERT INTO wide (k, c, v) VALUES (61, 1, 'again'); SELECT * FROM wide WHERE k = 61;")
shell.stdin.close()
shell.wait()
shutil.rmtree(folder)
print(f'checks => {checks}')
