"""psycopg 3 on the table `account` of a MySQL server, through the gateway: prints what it sees, line by line."""
import sys
import psycopg
from decimal import Decimal

with psycopg.connect(sys.argv[1], prepare_threshold=2) as connection:
    for number in range(6):
        connection.execute("INSERT INTO account (owner, balance, kind) VALUES (%s, %s, %s)", (f"owner {number}", Decimal(number) / 4, "gold" if number % 2 else "plain"))
    connection.commit()
    for number in range(5):
        row = connection.execute("SELECT id, owner, balance, kind, made IS NULL FROM account WHERE owner = %s", (f"OWNER {number}",)).fetchone()
        print(number, row)
    binary = connection.cursor(binary=True)
    print(binary.execute("SELECT id, balance, big FROM account WHERE id = %s", (2,)).fetchone())
    with connection.cursor() as cursor:
        cursor.executemany("UPDATE account SET balance = balance + %s WHERE id = %s", [(1, 1), (2, 2), (3, 3)])
        print("updated", cursor.rowcount)
    with connection.cursor(name="server_side") as cursor:
        cursor.itersize = 2
        print([row[0] for row in cursor.execute("SELECT owner FROM account ORDER BY id")])
    try:
        with connection.transaction():
            connection.execute("INSERT INTO account (id, owner, balance, kind) VALUES (1, 'twice', 0, 'gold')")
    except psycopg.errors.UniqueViolation as error:
        print("unique", error.diag.constraint_name)
    with connection.pipeline():
        cursors = [connection.execute("SELECT balance FROM account WHERE id = %s", (number,)) for number in (1, 2, 3)]
    print([cursor.fetchone()[0] for cursor in cursors])
    connection.commit()
    connection.execute("DELETE FROM account WHERE kind = 'gold'")
    print("left", connection.execute("SELECT count(*), sum(balance) FROM account").fetchone())
    connection.rollback()
    print("again", connection.execute("SELECT count(*) FROM account").fetchone())
