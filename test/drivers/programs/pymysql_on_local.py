"""What an application asks of its own tables, through PyMySQL; prints `name => what came` for each."""
import datetime, decimal, os
import pymysql

where = dict(host=os.environ['MYSQL_HOST'], port=int(os.environ['MYSQL_TCP_PORT']), user='causeway', password=os.environ['MYSQL_PWD'], database='shop')
count = 0


def say(name, value):
    global count
    count += 1
    print(f'{name} => {value!r}')


def run(connection, sql, args=None):
    with connection.cursor() as cursor:
        try:
            n = cursor.execute(sql, args)
            return n, cursor.lastrowid, cursor.fetchall(), [column[:2] for column in cursor.description or ()]
        except pymysql.Error as error:
            return type(error).__name__, error.args


main = pymysql.connect(**where)
say('all', run(main, 'SELECT id, name, price, stock, active, state, picture, note, made, changed FROM item ORDER BY id'))
say('insert', run(main, 'INSERT INTO item (name, price, stock, active, state, picture, made) VALUES (%s, %s, %s, %s, %s, %s, %s)',
                  ('Früh\'stück', decimal.Decimal('12.50'), 7, True, 'sold', b'\x00\xff\'', datetime.datetime(2024, 2, 29, 23, 59, 59))))
say('its id', run(main, 'SELECT LAST_INSERT_ID()'))
say('several', run(main, "INSERT INTO item (name, price, stock) VALUES ('a', 1, 1), ('b', 2.25, 2), ('c', 3.5, NULL)"))
say('duplicate', run(main, "INSERT INTO item (name, price) VALUES ('A', 1)"))
say('parent', run(main, 'INSERT INTO line (item_id, amount) VALUES (999, 1)'))
say('null', run(main, 'INSERT INTO item (name) VALUES (NULL)'))
say('too long', run(main, 'UPDATE item SET name = %s WHERE id = 1', ('x' * 100,)))
say('joined', run(main, 'SELECT i.name, SUM(l.amount) AS total, COUNT(*) FROM item i JOIN line l ON l.item_id = i.id GROUP BY i.id, i.name ORDER BY i.id'))
say('left', run(main, 'SELECT i.id, l.id FROM item i LEFT JOIN line l ON l.item_id = i.id WHERE l.id IS NULL ORDER BY i.id LIMIT 3'))
say('case', run(main, "SELECT id FROM item WHERE name = 'BREAD' AND active = 1"))
say('rolled back', (run(main, 'UPDATE item SET stock = 0'), main.rollback(), run(main, 'SELECT SUM(stock) FROM item')))
say('committed', (run(main, 'UPDATE item SET stock = stock + 1 WHERE id <= 2'), main.commit(), run(main, 'SELECT id, stock FROM item WHERE id <= 2 ORDER BY id')))
say('locked', (main.begin(), run(main, 'SELECT stock FROM item WHERE id = 1 FOR UPDATE'), main.commit()))
say('nothing changed', run(main, 'UPDATE item SET stock = stock WHERE id = 1'))
say('upsert', run(main, "INSERT INTO line (id, item_id, amount) VALUES (1, 1, 9) ON DUPLICATE KEY UPDATE amount = VALUES(amount)"))
say('deleted', run(main, "DELETE FROM item WHERE name IN ('b', 'c')"))
say('pages', run(main, 'SELECT name FROM item ORDER BY price DESC, id LIMIT 2 OFFSET 1'))
main.commit()
streamed = pymysql.connect(**where, cursorclass=pymysql.cursors.SSCursor)
with streamed.cursor() as cursor:
    cursor.execute('SELECT id, name FROM item ORDER BY id')
    say('streamed', [row for row in cursor])
print(f'statements => {count}')
