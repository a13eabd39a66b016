"""What applications do through psycopg 3, on the tables of setup.sql; prints each statement's outcome as a line `name => what came`."""
import datetime
import decimal
import os
import threading

import psycopg
from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

CONNINFO = f"host={os.environ['PGHOST']} port={os.environ['PGPORT']} user={os.environ['PGUSER']} dbname={os.environ['PGDATABASE']}"
printed = 0


def say(name, work):
    global printed
    printed += 1
    try:
        came = repr(work())
    except psycopg.Error as error:
        diag = error.diag
        came = f"error {error.sqlstate} {str(error).splitlines()[0]!r} table={diag.table_name} constraint={diag.constraint_name} position={diag.statement_position}"
    print(f"{name} => {came}")


def rows(connection, text, values=None, **options):
    with connection.cursor(binary=options.pop("binary", False)) as cursor:
        cursor.execute(text, values, **options)
        return [cursor.rowcount, cursor.statusmessage, cursor.fetchall() if cursor.description else None]


def several(connection, text):
    with connection.cursor() as cursor:
        cursor.execute(text)
        found = []
        while True:
            found.append([cursor.statusmessage, cursor.fetchall() if cursor.description else None])
            if not cursor.nextset():
                return found


def in_block(connection, *works):
    """Outcomes of statements in one block, which ends with COMMIT."""
    found = []
    connection.autocommit = False
    try:
        for work in works:
            try:
                found.append(work())
            except psycopg.Error as error:
                found.append(error.sqlstate)
        connection.commit()
    finally:
        connection.rollback()
        connection.autocommit = True
    return found


def workload(connection, binary):
    ask = lambda text, values=None, **options: rows(connection, text, values, binary=binary, **options)
    say("truncate", lambda: ask("TRUNCATE item, entry RESTART IDENTITY"))
    for n in range(1, 9):
        values = (f"item {n}", decimal.Decimal("1.25") * n, datetime.date(2024, 1, n), ["a", None, f'q"{n}'], Jsonb({"n": n}), datetime.datetime(2024, 3, n, 1, 2, 3, tzinfo=datetime.timezone.utc))
        say("insert", lambda: ask("INSERT INTO item(name, price, made, flags, doc, at) VALUES (%s, %s, %s, %s, %s, %s) RETURNING id, name, price, made, flags, doc", values))
        # From the fifth time on the driver prepares it.
        say("read", lambda: ask("SELECT id, name, price FROM item WHERE id = %s", (n,)))
        say("read of the other side", lambda: ask("SELECT v FROM plain WHERE id = %s", (n,)))
        say("prepared", lambda: ask("SELECT name FROM item WHERE id >= %s ORDER BY id", (n,), prepare=True))
    with connection.cursor() as cursor:
        say("executemany", lambda: (cursor.executemany("INSERT INTO entry(item, note) VALUES (%s, %s)", [(n, f"note {n}") for n in range(50)]), cursor.rowcount))
        say("executemany, returning", lambda: (cursor.executemany("INSERT INTO entry(item, note) VALUES (%s, %s) RETURNING item", [(n, "r") for n in range(5)], returning=True), [list(result) for result in cursor.results()]))
        say("executemany that fails", lambda: cursor.executemany("INSERT INTO item(id, name) VALUES (%s, %s)", [(100, "x"), (1, "twice"), (101, "y")]))
    say("count", lambda: ask("SELECT count(*), sum(item) FROM entry"))
    for text in ("SELECT nothing FROM item", "SELEC 1", "SELECT * FROM missing", "INSERT INTO item(name) VALUES (NULL)", "INSERT INTO item(name, price) VALUES ('x', -1)", "SELECT 1 / 0", "UPDATE item SET made = 'x'"):
        say(f"error: {text}", lambda: ask(text))
    for text, value in (("%s::int", 41), ("%s::numeric", decimal.Decimal("1e-20")), ("%s::float8", float("inf")), ("%s::text", "ä\n"), ("%s::bytea", b"\x00\xff"), ("%s::date", datetime.date(2024, 2, 29)), ("%s::interval", datetime.timedelta(days=1, seconds=5)), ("%s::bool", True), ("%s::int[]", [1, None, 3]), ("%s::jsonb", Jsonb({"a": [1, None]})), ("%s::text", None), ("%s::uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")):
        say(f"value {text} {value!r}", lambda: ask(f"SELECT {text}", (value,)))
    say("several", lambda: several(connection, "SELECT count(*) FROM item; UPDATE entry SET note = 'x' WHERE item < 3; SELECT count(*) FROM entry"))
    say("several, with an error", lambda: several(connection, "DELETE FROM entry; SELECT 1 / 0"))
    say("composed", lambda: ask(sql.SQL("SELECT {} FROM {} ORDER BY 1 LIMIT 2").format(sql.Identifier("item"), sql.Identifier("entry"))))
    say("block", lambda: in_block(connection, lambda: ask("UPDATE item SET name = 'in block' WHERE id = 1"), lambda: ask("SELECT name FROM item WHERE id = 1")))
    say("block with an error", lambda: in_block(connection, lambda: ask("UPDATE item SET name = 'lost' WHERE id = 1"), lambda: ask("SELECT 1 / 0"), lambda: ask("SELECT 1")))
    say("after", lambda: ask("SELECT name FROM item WHERE id = 1"))

    def nested():
        with connection.transaction():
            ask("INSERT INTO entry(item, note) VALUES (500, 'outer')")
            try:
                with connection.transaction():
                    ask("INSERT INTO entry(item, note) VALUES (501, 'inner')")
                    ask("INSERT INTO item(id, name) VALUES (1, 'twice')")
            except psycopg.Error as error:
                return error.sqlstate

    say("nested", nested)
    say("after", lambda: ask("SELECT item FROM entry WHERE item >= 500"))

    def server_side():
        with connection.transaction(), connection.cursor("named", binary=binary, scrollable=True) as cursor:
            cursor.execute("SELECT item, note FROM entry ORDER BY item, note")
            first = cursor.fetchmany(7)
            cursor.scroll(5)
            return first, cursor.fetchone(), len(cursor.fetchall())

    say("server-side cursor", server_side)
    with connection.cursor(binary=binary) as cursor:
        say("stream", lambda: [row for row in cursor.stream("SELECT id FROM item ORDER BY id")])

    def copies():
        with connection.cursor() as cursor:
            with cursor.copy("COPY entry(item, note) FROM STDIN") as copy:
                for n in range(1000):
                    copy.write_row((1000 + n, f"copied {n}"))
            with cursor.copy("COPY (SELECT item, note FROM entry WHERE item >= 1000 ORDER BY item) TO STDOUT") as copy:
                return cursor.rowcount, sum(1 for _ in copy.rows())

    say("copies", copies)

    def failing_copy():
        with connection.cursor() as cursor, cursor.copy("COPY entry(item, note) FROM STDIN") as copy:
            copy.write("bad\tx\n")

    say("copy that fails", failing_copy)


def pipelines(connection):
    def pipeline():
        with connection.pipeline():
            cursors = [connection.execute("SELECT count(*) FROM item WHERE id > %s", (n,)) for n in range(6)]
            connection.execute("INSERT INTO entry(item, note) VALUES (700, 'pipeline')")
            return [cursor.fetchone() for cursor in cursors]

    def of_both_sides():
        with connection.pipeline() as pipe:
            found = []
            for n in range(1, 4):
                found.append(connection.execute("SELECT v FROM plain WHERE id = %s", (n,)))
                pipe.sync()
                found.append(connection.execute("SELECT name FROM item WHERE id = %s", (n,)))
                pipe.sync()
            return [cursor.fetchone() for cursor in found]

    def failing():
        with connection.pipeline():
            connection.execute("INSERT INTO entry(item, note) VALUES (701, 'lost')")
            connection.execute("INSERT INTO item(id, name) VALUES (1, 'twice')")

    for _ in range(3):
        say("pipeline", pipeline)
        say("pipeline of both sides", of_both_sides)
        say("pipeline that fails", failing)
        say("after", lambda: rows(connection, "SELECT item FROM entry WHERE item >= 700 AND item < 800"))
    say("dictionaries", lambda: connection.cursor(row_factory=dict_row).execute("SELECT id, name FROM item ORDER BY id LIMIT 2").fetchall())


def between_sessions(connection):
    with psycopg.connect(CONNINFO, autocommit=True) as other:
        other.execute("LISTEN news")
        connection.execute("SELECT pg_notify('news', 'one')")
        connection.execute("NOTIFY news, 'two'")
        say("notifications", lambda: [(found.channel, found.payload) for found in other.notifies(timeout=5, stop_after=2)])

        def cancelled():
            threading.Timer(0.3, other.cancel_safe).start()
            return rows(other, "SELECT pg_sleep(20), count(*) FROM item")

        say("cancel", cancelled)
        say("usable", lambda: rows(other, "SELECT count(*) FROM item"))
    say("timeout", lambda: several(connection, "SET statement_timeout = 200; SELECT pg_sleep(20)"))
    say("reset", lambda: rows(connection, "RESET statement_timeout"))


with psycopg.connect(CONNINFO, autocommit=True) as connection:
    notices = []
    connection.add_notice_handler(lambda diag: notices.append((diag.severity, diag.message_primary)))
    for binary in (False, True):
        workload(connection, binary)
    pipelines(connection)
    between_sessions(connection)
    connection.execute("DO $$ BEGIN RAISE NOTICE 'noticed %', 7; END $$")
    say("notices", lambda: notices)
    print(f"statements => {printed}")
