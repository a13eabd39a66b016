"""Statements through PyMySQL; prints `name => what came` for each."""
import os, tempfile, threading, time
import pymysql
from pymysql.cursors import DictCursor, SSCursor

where = dict(host=os.environ['MYSQL_HOST'], port=int(os.environ['MYSQL_TCP_PORT']), user='causeway', password=os.environ['MYSQL_PWD'], database='shop')
count = 0


def say(name, value):
    global count
    count += 1
    print(f'{name} => {value!r}'.replace('\n', '\\n'))


def tried(name, what):
    try:
        say(name, what())
    except Exception as error:
        say(name, (type(error).__name__, error.args))


def connect(**more):
    return pymysql.connect(**{**where, **more})


def described(cursor):
    return [column[:2] + column[4:] for column in cursor.description] if cursor.description else None


def run(connection, sql, args=None, cursor=None):
    with connection.cursor(cursor) as c:
        n = c.execute(sql, args)
        got = [(n, c.lastrowid, described(c), c.fetchall())]
        while c.nextset():
            got.append((c.rowcount, described(c), c.fetchall()))
        return got


main = connect(local_infile=True, client_flag=pymysql.constants.CLIENT.MULTI_STATEMENTS)
for sql in ['SELECT 1', 'SELECT * FROM kinds ORDER BY id', 'SELECT * FROM item ORDER BY id', 'SELECT id FROM item WHERE 0', 'DO 1', 'SELECT NULL', "SELECT ''", 'SHOW TABLES', 'SHOW CREATE TABLE item', 'DESCRIBE kinds',
            'SELECT DATABASE(), CURRENT_USER() IS NOT NULL', 'SELECT @@autocommit, @@character_set_client, @@character_set_results', 'EXPLAIN SELECT * FROM item WHERE id = 1', 'SELECT 1; SELECT 2, 3; DO 0; SELECT 4',
            'SELECT 1; SELECT nothing; SELECT 3', "INSERT INTO item (name) VALUES ('p1'), ('p2')", "UPDATE item SET price = 2 WHERE name LIKE 'p%'", "UPDATE item SET price = 2 WHERE name LIKE 'p%'", "INSERT INTO item (name) VALUES ('one')",
            "REPLACE INTO item (name) VALUES ('p1')", "DELETE FROM item WHERE name LIKE 'p%'", 'SELECT * FROM missing', 'SELEC 1', "SELECT CAST('x' AS SIGNED)", 'SHOW WARNINGS', 'CHECK TABLE item', 'ANALYZE TABLE item', 'SELECT * FROM named ORDER BY id',
            'CALL fails(3)', 'CALL two_results(4, @b)', 'SELECT @b', 'SELECT doubled(21)', 'SELECT what FROM audit ORDER BY id', "SET @a := 5", 'SELECT @a + 1', 'HANDLER item OPEN', 'HANDLER item READ FIRST', 'HANDLER item CLOSE',
            "PREPARE s FROM 'SELECT ? + 1'", 'EXECUTE s USING @a', 'DEALLOCATE PREPARE s', 'CREATE TEMPORARY TABLE t1 (a INT)', 'INSERT INTO t1 VALUES (1), (2)', 'SELECT SUM(a) FROM t1', 'DROP TABLE t1', 'SELECT ROW_COUNT(), FOUND_ROWS(), LAST_INSERT_ID() > 0',
            'SELECT SQL_CALC_FOUND_ROWS id FROM item LIMIT 1', 'SELECT FOUND_ROWS()', '', '/* nothing */', 'SELECT 1 /* a comment */ -- and another', "SELECT _latin1'\xe4'", "SELECT 'ß', '漢字', LENGTH('漢字')", 'LOCK TABLES item WRITE, audit WRITE', 'UNLOCK TABLES',
            'KILL QUERY 999999999', 'SHOW STATUS LIKE "Ssl_cipher"', 'SHOW VARIABLES LIKE "sql_mode"', 'SELECT SLEEP(0)', 'BEGIN; SELECT 1; ROLLBACK']:
    tried(f'text {sql[:50]}', lambda: run(main, sql))
for args in [(1,), ('x',), (None,), (1.5,), (b'\x00\xff',), (True,), ([1, 2, 3],)]:
    tried(f'arguments {args}', lambda: run(main, 'SELECT %s', args) if not isinstance(args[0], list) else run(main, 'SELECT id FROM item WHERE id IN %s ORDER BY id', args))
tried('dict', lambda: run(main, 'SELECT id, name FROM item ORDER BY id', cursor=DictCursor))
tried('unbuffered', lambda: run(main, 'SELECT a.id, b.id FROM item a, item b ORDER BY 1, 2', cursor=SSCursor))


def part():
    with main.cursor(SSCursor) as c:
        c.execute('SELECT a.id FROM item a, item b, item c ORDER BY 1')
        return [c.fetchone(), c.fetchmany(2)]


tried('unbuffered, not to its end', part)
tried('after it', lambda: run(main, 'SELECT 1'))


def many():
    with main.cursor() as c:
        n = c.executemany('INSERT INTO item (name, price) VALUES (%s, %s)', [(f'm{i}', i) for i in range(2000)])
        return n, c.lastrowid


tried('executemany', many)
tried('rollback', lambda: (main.rollback(), run(main, 'SELECT COUNT(*) FROM item')))


def procedure():
    with main.cursor() as c:
        c.callproc('two_results', (7, 0))
        got = [c.fetchall()]
        while c.nextset():
            got.append(c.fetchall())
        c.execute('SELECT @_two_results_1')
        return got, c.fetchall()


tried('callproc', procedure)
for size in (100, 65535, 70000, 1 << 20, (1 << 24) - 100, (1 << 24) - 1, 1 << 24, 17 << 20):
    tried(f'answer of {size}', lambda: len(run(main, f"SELECT REPEAT('x', {size})")[0][3][0][0]))
    tried(f'statement of {size}', lambda: run(main, 'SELECT LENGTH(%s), MD5(%s)', ('y' * size, 'y'))[0][3])
with tempfile.NamedTemporaryFile('w', suffix='.tsv') as file:
    for i in range(5000):
        file.write(f'f{i}\t{i}\n')
    file.flush()
    tried('local infile', lambda: run(main, f"LOAD DATA LOCAL INFILE '{file.name}' INTO TABLE item (name, price)")[0][:2])
    tried('what it loaded', lambda: run(main, "SELECT COUNT(*), SUM(price) FROM item WHERE name LIKE 'f%'"))
    tried('autocommit', lambda: (main.autocommit(True), main.get_autocommit(), run(main, "DELETE FROM item WHERE name LIKE 'f%'")[0][0]))
tried('local infile that is not there', lambda: run(main, "LOAD DATA LOCAL INFILE '/nowhere/at/all' INTO TABLE item (name)"))
tried('ping', lambda: main.ping(reconnect=False))
tried('select_db', lambda: (main.select_db('mysql'), run(main, 'SELECT DATABASE()'), main.select_db('shop'), run(main, 'SELECT DATABASE()')))
tried('select_db of none', lambda: main.select_db('nowhere'))
tried('charset', lambda: (main.set_charset('latin1'), run(main, "SELECT 'ä', HEX('ä')"), main.set_charset('utf8mb4')))
tried('show_warnings', lambda: (run(main, "SELECT 1 + 'x'"), main.show_warnings()))


def blocks():
    other = connect()
    got = []
    main.begin()
    got.append(run(main, "INSERT INTO item (name) VALUES ('block')")[0][0])
    got.append(run(other, "SELECT COUNT(*) FROM item WHERE name = 'block'"))
    run(main, 'SAVEPOINT s')
    run(main, "DELETE FROM item WHERE name = 'block'")
    run(main, 'ROLLBACK TO s')
    main.commit()
    other.commit()
    got.append(run(other, "SELECT COUNT(*) FROM item WHERE name = 'block'"))
    other.close()
    got.append(run(main, "DELETE FROM item WHERE name = 'block'")[0][0])
    return got


tried('blocks', blocks)


def killed(kind):
    victim, killer = connect(), connect()
    thread = victim.thread_id()
    outcome = []

    def sleeper():
        try:
            outcome.append(run(victim, 'SELECT SLEEP(8)')[0][3])
        except Exception as error:
            outcome.append((type(error).__name__, error.args[0]))

    waiting = threading.Thread(target=sleeper)
    waiting.start()
    time.sleep(0.3)
    if kind == 'connection':
        killer.kill(thread)
    else:
        run(killer, f'KILL QUERY {thread}')
    waiting.join(20)
    if kind == 'query':
        outcome.append(run(victim, 'SELECT 1'))
    return outcome


tried('kill query', lambda: killed('query'))
tried('kill connection', lambda: len(killed('connection')))
for more in [dict(charset='latin1'), dict(charset='utf8'), dict(autocommit=True), dict(init_command="SET @i = 4"), dict(database=None), dict(sql_mode='ANSI_QUOTES'), dict(client_flag=pymysql.constants.CLIENT.FOUND_ROWS), dict(database='nowhere')]:
    def opened():
        with connect(**more) as c:
            return run(c, "SELECT @@character_set_client, @@autocommit, @i, DATABASE(), @@sql_mode LIKE '%ANSI_QUOTES%'"), run(c, "UPDATE shop.item SET price = 1.5 WHERE id = 1")[0][0]

    tried(f'connect {more}', opened)
print(f'statements => {count}')
