"""
The Python driver at work on a Cassandra cluster: `name => what came`, a line for each check. Arguments: host, port, keyspace to make, data centre.
A line that begins with `?` asks for something to be done before the next line of input.
"""
import datetime
import decimal
import ssl
import sys
import time
import uuid
from collections import namedtuple

from cassandra import ConsistencyLevel, OperationTimedOut
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile, NoHostAvailable
from cassandra.concurrent import execute_concurrent_with_args
from cassandra.policies import ConstantReconnectionPolicy, ConstantSpeculativeExecutionPolicy, DCAwareRoundRobinPolicy, FallthroughRetryPolicy, TokenAwarePolicy
from cassandra.query import UNSET_VALUE, BatchStatement, BatchType, SimpleStatement, dict_factory
from cassandra.util import Date, Duration, OrderedMapSerializedKey, SortedSet, Time

host, port, ks, datacenter = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
checks = 0


def plain(value):
    """As text that does not depend on the order of sets, nor on where the server is."""
    if isinstance(value, (set, frozenset, SortedSet)):
        return '{' + ', '.join(sorted(plain(each) for each in value)) + '}'
    if isinstance(value, (dict, OrderedMapSerializedKey)):
        return '{' + ', '.join(f'{plain(key)}: {plain(each)}' for key, each in value.items()) + '}'
    if isinstance(value, tuple) and hasattr(value, '_fields'):
        return type(value).__name__ + '(' + ', '.join(f'{name}={plain(each)}' for name, each in zip(value._fields, value)) + ')'
    if isinstance(value, (list, tuple)):
        return '[' + ', '.join(plain(each) for each in value) + ']'
    return repr(value)


def check(name, act):
    global checks
    try:
        came = act()
        text = came if isinstance(came, str) else plain(came)
    except Exception as error:
        text = f'{type(error).__name__}: {error}'
    checks += 1
    print(f'{name} => {text}'.replace('\n', ' | '), flush=True)


def ask(what):
    print(f'? {what}', flush=True)
    sys.stdin.readline()


def connect(**more):
    profile = ExecutionProfile(load_balancing_policy=TokenAwarePolicy(DCAwareRoundRobinPolicy(datacenter)), request_timeout=60, **more.pop('profile', {}))
    settings = dict(protocol_version=4, reconnection_policy=ConstantReconnectionPolicy(0.2, None), connect_timeout=60, control_connection_timeout=60, max_schema_agreement_wait=60)
    cluster = Cluster([host], port=port, execution_profiles={EXEC_PROFILE_DEFAULT: profile}, **{**settings, **more})
    return cluster, cluster.connect()




def log_in(ca, user, password):
    """Over TLS, with a name and a password, and with those that are refused."""
    context = ssl.create_default_context(cafile=ca)
    context.check_hostname = False
    for name, options in [('right', dict(ssl_context=context, auth_provider=PlainTextAuthProvider(user, password))), ('wrong', dict(ssl_context=context, auth_provider=PlainTextAuthProvider(user, 'wrong'))),
                          ('nobody', dict(ssl_context=context)), ('plain', dict(auth_provider=PlainTextAuthProvider(user, password), connect_timeout=2))]:
        try:
            cluster, session = connect(**options)
            session.execute(session.prepare(f'INSERT INTO {ks}.t (k, v) VALUES (?, ?)'), [1, name])
            print(f'{name} => {session.execute(f"SELECT v FROM {ks}.t WHERE k = 1").one().v}')
            cluster.shutdown()
        except Exception as error:
            print(f'{name} => refused {type(error).__name__}')
    sys.exit(0)


if sys.argv[5:]:
    log_in(*sys.argv[5:])


# Whoever asks for the newest protocol is led to one that is spoken.
def negotiated():
    newest = Cluster([host], port=port, connect_timeout=60, control_connection_timeout=60)
    row = newest.connect().execute('SELECT key FROM system.local').one()
    newest.shutdown()
    return row.key


check('connects with whatever version is spoken', negotiated)
cluster, session = connect()
check('protocol', lambda: cluster.protocol_version)
check('hosts', lambda: [(each.address, each.is_up, each.datacenter) for each in cluster.metadata.all_hosts()])
check('release', lambda: [each.release_version for each in cluster.metadata.all_hosts()])
check('partitioner', lambda: cluster.metadata.partitioner)
check('has tokens', lambda: len(cluster.metadata.token_map.ring) > 0)
check('all replicas are the one host', lambda: len({each.address for token in cluster.metadata.token_map.ring for each in cluster.metadata.all_hosts()}))
check('peers', lambda: len(session.execute('SELECT * FROM system.peers').all()))
check('local by key', lambda: session.execute("SELECT key, data_center, partitioner FROM system.local WHERE key = 'local'").one())
check('local, prepared', lambda: session.execute(session.prepare('SELECT key, bootstrapped FROM system.local WHERE key = ?'), ['local']).one())
check('peers counted', lambda: session.execute('SELECT count(*) FROM system.peers').one()[0])

# Definitions.
check('create keyspace', lambda: session.execute(f"CREATE KEYSPACE {ks} WITH replication = {{'class': 'SimpleStrategy', 'replication_factor': 1}}").all())
check('schema agreement', lambda: cluster.control_connection.wait_for_schema_agreement(wait_time=30))
check('set_keyspace', lambda: session.set_keyspace(ks))
check('keyspace in use', lambda: session.keyspace == ks)
for name, text in [
    ('address', 'CREATE TYPE address (street text, zip int, phones frozen<set<text>>)'),
    ('scalars', 'CREATE TABLE scalars (k int PRIMARY KEY, a ascii, b bigint, bl blob, bo boolean, da date, de decimal, d double, du duration, f float, ip inet, i int, si smallint, t text, ti time, ts timestamp, tu timeuuid, tiny tinyint, u uuid, vc varchar, vi varint)'),
    ('nested', 'CREATE TABLE nested (k int PRIMARY KEY, l list<int>, s set<text>, m map<text, int>, fl frozen<list<text>>, fm frozen<map<int, frozen<set<int>>>>, tp tuple<int, text, boolean>, ad address, fad frozen<address>, lad list<frozen<address>>, v vector<float, 3>)'),
    ('wide', 'CREATE TABLE wide (k int, c int, v text, st text static, PRIMARY KEY (k, c)) WITH CLUSTERING ORDER BY (c DESC)'),
    ('counts', 'CREATE TABLE counts (k int PRIMARY KEY, n counter, m counter)'),
    ('cond', 'CREATE TABLE cond (k int PRIMARY KEY, v text, w int)'),
    ('files', 'CREATE TABLE files (system_domain_id uuid, id uuid, name text, size bigint, status text, PRIMARY KEY (system_domain_id, id))'),
    ('many', 'CREATE TABLE many (k int PRIMARY KEY, v text)'),
]:
    check(f'create {name}', lambda: session.execute(text).all())
check('index', lambda: session.execute('CREATE INDEX wide_v ON wide (v)').all())
check('already there', lambda: session.execute('CREATE TABLE many (k int PRIMARY KEY)'))
check('if not exists', lambda: session.execute('CREATE TABLE IF NOT EXISTS many (k int PRIMARY KEY)').all())
check('tables known', lambda: sorted(cluster.metadata.keyspaces[ks].tables))
check('types known', lambda: cluster.metadata.keyspaces[ks].user_types['address'].as_cql_query())
for name in ['scalars', 'nested', 'wide', 'counts']:
    check(f'definition of {name}', lambda: cluster.metadata.keyspaces[ks].tables[name].export_as_string())


# An event of another session's change.
def told():
    other, others = connect()
    others.execute(f'CREATE TABLE {ks}.told (k int PRIMARY KEY, v int)')
    deadline = time.time() + 30
    while 'told' not in cluster.metadata.keyspaces[ks].tables and time.time() < deadline:
        time.sleep(0.02)
    is_known = 'told' in cluster.metadata.keyspaces[ks].tables
    others.execute(f'ALTER TABLE {ks}.told ADD w text')
    while 'w' not in cluster.metadata.keyspaces[ks].tables['told'].columns and time.time() < deadline:
        time.sleep(0.02)
    is_altered = 'w' in cluster.metadata.keyspaces[ks].tables['told'].columns
    others.execute(f'DROP TABLE {ks}.told')
    while 'told' in cluster.metadata.keyspaces[ks].tables and time.time() < deadline:
        time.sleep(0.02)
    other.shutdown()
    return is_known, is_altered, 'told' not in cluster.metadata.keyspaces[ks].tables


check('events of definitions', told)

# Every type, both ways.
Address = namedtuple('Address', 'street zip phones')
cluster.register_user_type(ks, 'address', Address)
when = datetime.datetime(2024, 2, 29, 23, 59, 59, 999000)
tu = uuid.UUID('a0d8e6c0-5f0a-11ee-8c99-0242ac120002')
scalars = {
    'a': ['', 'ascii'], 'b': [-2**63, 2**63 - 1, 0], 'bl': [b'', b'\x00\xff' * 3000], 'bo': [True, False], 'da': [Date('1969-12-31'), Date('9999-12-31'), Date(-700000)],
    'de': [decimal.Decimal('-1.50'), decimal.Decimal('1E+30'), decimal.Decimal('0.000000000000000000000000000001')], 'd': [1.5e300, float('inf'), -0.0], 'du': [Duration(1, 2, 3), Duration(-12, -400, -10**15)],
    'f': [1.5, float('-inf')], 'ip': ['10.1.2.3', '2001:db8::1'], 'i': [-2**31, 2**31 - 1], 'si': [-2**15, 2**15 - 1], 't': ['', 'ü€𝄞', 'x' * 100000], 'ti': [Time(0), Time('23:59:59.999999999')],
    'ts': [when, datetime.datetime(1901, 1, 1)], 'tu': [tu], 'tiny': [-128, 127], 'u': [uuid.UUID(int=1), uuid.UUID(int=2**128 - 1)], 'vc': ["it's"], 'vi': [0, -2**200, 2**63],
}
k = 0
for column, values in scalars.items():
    insert, select = session.prepare(f'INSERT INTO scalars (k, {column}) VALUES (?, ?)'), session.prepare(f'SELECT {column} FROM scalars WHERE k = ?')
    for value in [*values, None]:
        k += 1
        session.execute(insert, [k, value])
        check(f'{column} {plain(value)[:40]}', lambda: plain(session.execute(select, [k]).one()[0])[:200])
nested = [
    ('l', [3, 1, 3]), ('l', []), ('s', {'a', 'ü', ''}), ('m', {'a': 1, 'b': -1}), ('fl', ['a', 'b', 'a']), ('fl', []), ('fm', {1: {1, 2}, 2: set()}), ('tp', (1, 'x', None)), ('tp', (None, None, True)),
    ('ad', Address('st', 5, {'1', '2'})), ('ad', Address(None, 7, None)), ('fad', Address('frozen', None, set())), ('lad', [Address('a', 1, None), Address('b', 2, {'x'})]), ('v', [1.5, -2.0, 0.25]), ('l', None), ('m', None), ('ad', None),
]
for column, value in nested:
    k += 1
    def both_ways():
        session.execute(session.prepare(f'INSERT INTO nested (k, {column}) VALUES (?, ?)'), [k, value])
        return session.execute(session.prepare(f'SELECT {column} FROM nested WHERE k = ?'), [k]).one()
    check(f'{column} {plain(value)[:40]}', both_ways)
for name, text in [
    ('map put', "UPDATE nested SET m['z'] = 9 WHERE k = 1000"), ('map more', "UPDATE nested SET m = m + {'y': 8} WHERE k = 1000"), ('map less', "UPDATE nested SET m = m - {'z'} WHERE k = 1000"),
    ('set more', "UPDATE nested SET s = s + {'q', 'r'} WHERE k = 1000"), ('set less', "UPDATE nested SET s = s - {'q'} WHERE k = 1000"), ('field', "UPDATE nested SET ad.zip = 12 WHERE k = 1000"),
    ('list', 'UPDATE nested SET l = [1, 2] WHERE k = 1000'), ('append', 'UPDATE nested SET l = l + [3] WHERE k = 1000'), ('prepend', 'UPDATE nested SET l = [0] + l WHERE k = 1000'), ('element', 'UPDATE nested SET l[1] = 11 WHERE k = 1000'),
    ('element deleted', 'DELETE l[0] FROM nested WHERE k = 1000'), ('list less', 'UPDATE nested SET l = l - [3] WHERE k = 1000'), ('map key deleted', "DELETE m['y'] FROM nested WHERE k = 1000"),
]:
    check(f'{name}', lambda: (session.execute(text).all(), session.execute('SELECT l, s, m, ad FROM nested WHERE k = 1000').one()))
check('list index out of bounds', lambda: session.execute('UPDATE nested SET l[9] = 1 WHERE k = 1000'))
check('json both ways', lambda: (session.execute("""INSERT INTO nested JSON '{"k": 2000, "m": {"a": 1}, "tp": [1, "x", true]}'""").all(), session.execute('SELECT JSON k, m, tp FROM nested WHERE k = 2000').one()))
check('functions', lambda: session.execute("SELECT cast(b AS text), toTimestamp(tu), blobAsInt(intAsBlob(i)), token(k) FROM scalars WHERE k = 3").one())

# The document's own statements, with the driver's own markers and prepared.
tenant, file_id = uuid.UUID(int=77), uuid.UUID(int=78)
insert_file = 'INSERT INTO files (system_domain_id, id, name, size, status) VALUES (%s, %s, %s, %s, %s)'
check('files insert', lambda: session.execute(insert_file, [tenant, file_id, 'test.jpg', 1024, 'CLOSED']).all())
check('files select', lambda: session.execute('SELECT * FROM files WHERE system_domain_id = %s AND id = %s', [tenant, file_id]).all())
check('files update', lambda: session.execute('UPDATE files SET status = %s WHERE system_domain_id = %s AND id = %s', ['ARCHIVED', tenant, file_id]).all())
check('files again', lambda: session.execute('SELECT * FROM files WHERE system_domain_id = %s AND id = %s', [tenant, file_id]).one().status)
check('markers without being prepared', lambda: session.execute('SELECT * FROM files WHERE system_domain_id = ? AND id = ?', [tenant, file_id]))

# Null and unset, TTL and timestamps.
wide = session.prepare('INSERT INTO wide (k, c, v) VALUES (?, ?, ?)')
ttl = session.prepare('INSERT INTO wide (k, c, v) VALUES (?, ?, ?) USING TTL ? AND TIMESTAMP ?')
timed = session.prepare('SELECT v, TTL(v) AS ttl, WRITETIME(v) AS at FROM wide WHERE k = ? AND c = ?')
check('with a time to live', lambda: (session.execute(ttl, [1, 1, 'ttl', 3600, 1234567]).all(), [(v, 3400 < left <= 3600, at) for v, left, at in session.execute(timed, [1, 1])]))
check('an older write is not seen', lambda: (session.execute(ttl, [1, 1, 'older', 0, 1000]).all(), session.execute(timed, [1, 1]).one().v))
check('unset leaves it', lambda: (session.execute(wide, [1, 1, UNSET_VALUE]).all(), session.execute(timed, [1, 1]).one().v))
check('null deletes it', lambda: (session.execute(wide, [1, 1, None]).all(), session.execute(timed, [1, 1]).one().v))
check('too few values are unset', lambda: (session.execute(wide, [1, 2]).all(), session.execute(timed, [1, 2]).one().v))
check('ttl out of range', lambda: session.execute(ttl, [1, 1, 'x', -5, 1]))
check('driver timestamps grow', lambda: [session.execute(wide, [2, 0, f'v{each}']).all() and None for each in range(20)] and session.execute(timed, [2, 0]).one().v)
session.use_client_timestamp = False
check('without timestamps of the driver', lambda: [session.execute(wide, [2, 1, f'v{each}']).all() and None for each in range(20)] and (session.execute(timed, [2, 1]).one().v, abs(session.execute(timed, [2, 1]).one().at / 1e6 - time.time()) < 120))
session.use_client_timestamp = True
check('static', lambda: (session.execute("UPDATE wide SET st = 'static' WHERE k = 2").all(), session.execute('SELECT k, c, st FROM wide WHERE k = 2').all()))
check('a static alone', lambda: (session.execute("UPDATE wide SET st = 'alone' WHERE k = 3").all(), session.execute('SELECT k, c, st FROM wide WHERE k = 3').all()))
check('delete a range', lambda: ([session.execute(wide, [4, c, str(c)]).all() for c in range(6)] and session.execute('DELETE FROM wide WHERE k = 4 AND c >= 2 AND c < 5').all(), [c for (c,) in session.execute('SELECT c FROM wide WHERE k = 4')]))

# Batches.
for kind in [BatchType.LOGGED, BatchType.UNLOGGED]:
    batch = BatchStatement(kind)
    batch.add(wide, [10 + kind.value, 1, 'one'])
    batch.add(SimpleStatement('INSERT INTO wide (k, c, v) VALUES (%s, 2, %s)'), [10 + kind.value, 'two'])
    batch.add("DELETE FROM wide WHERE k = 10 AND c = 7")
    check(f'batch {kind}', lambda: (session.execute(batch).all(), session.execute('SELECT c, v FROM wide WHERE k = %s', [10 + kind.value]).all()))
batch = BatchStatement(BatchType.COUNTER)
add = session.prepare('UPDATE counts SET n = n + ? WHERE k = ?')
for step in [1, 2, -5]:
    batch.add(add, [step, 1])
check('counter batch', lambda: (session.execute(batch).all(), session.execute('SELECT n FROM counts WHERE k = 1').one()))
check('counters', lambda: [session.execute(add, [each, 2]).all() and None for each in [10, -3, 2**40]] and session.execute('SELECT n, m FROM counts WHERE k = 2').one())
check('a counter in a batch of others', lambda: session.execute('BEGIN BATCH UPDATE counts SET n = n + 1 WHERE k = 1; INSERT INTO wide (k, c) VALUES (1, 1); APPLY BATCH'))
check('batch as text', lambda: (session.execute("BEGIN BATCH INSERT INTO wide (k, c, v) VALUES (20, 1, 'a'); UPDATE wide SET v = 'b' WHERE k = 20 AND c = 2; APPLY BATCH").all(), session.execute('SELECT c, v FROM wide WHERE k = 20').all()))
unlogged = BatchStatement(BatchType.UNLOGGED)
for each in range(12):
    unlogged.add(wide, [100 + each, 1, 'warned'])
check('warnings', lambda: (lambda future: (future.result().all(), future.warnings))(session.execute_async(unlogged)))
check('payload', lambda: (lambda future: (future.result().one(), future.custom_payload))(session.execute_async('SELECT key FROM system.local', custom_payload={'name': b'value'})))
check('payload of a table', lambda: (lambda future: (future.result().one(), future.custom_payload))(session.execute_async('SELECT v FROM wide WHERE k = 20 AND c = 1', custom_payload={'name': b'value'})))

# Conditional statements.
conditional = session.prepare('INSERT INTO cond (k, v, w) VALUES (?, ?, ?) IF NOT EXISTS')
for name, act in [
    ('insert', lambda: session.execute(conditional, [1, 'a', 1]).all()), ('insert again', lambda: session.execute(conditional, [1, 'b', 2]).all()), ('was applied', lambda: session.execute(conditional, [1, 'b', 2]).was_applied),
    ('update', lambda: session.execute("UPDATE cond SET v = 'c' WHERE k = 1 IF v = 'a' AND w IN (1, 2)").all()), ('update, no', lambda: session.execute("UPDATE cond SET v = 'd' WHERE k = 1 IF v = 'a'").all()),
    ('if exists', lambda: session.execute('UPDATE cond SET w = 5 WHERE k = 9 IF EXISTS').all()), ('delete', lambda: session.execute("DELETE FROM cond WHERE k = 1 IF v = 'c'").all()),
    ('batch', lambda: session.execute("BEGIN BATCH INSERT INTO cond (k, v) VALUES (2, 'x') IF NOT EXISTS; UPDATE cond SET w = 3 WHERE k = 2; APPLY BATCH").all()),
    ('serial read', lambda: session.execute(SimpleStatement('SELECT * FROM cond WHERE k = 2', consistency_level=ConsistencyLevel.SERIAL)).all()),
    ('local serial', lambda: session.execute(SimpleStatement("INSERT INTO cond (k, v) VALUES (3, 'y') IF NOT EXISTS", serial_consistency_level=ConsistencyLevel.LOCAL_SERIAL)).was_applied),
    ('with a timestamp', lambda: session.execute("INSERT INTO cond (k) VALUES (4) IF NOT EXISTS USING TIMESTAMP 5")),
]:
    check(f'conditional: {name}', act)

# Pages.
execute_concurrent_with_args(session, wide, [(50, c, f'row {c}') for c in range(157)], concurrency=20)
pages = session.prepare('SELECT c FROM wide WHERE k = 50')
pages.fetch_size = 10
paged = session.execute(pages)
first = list(paged.current_rows)
check('first page', lambda: (len(first), paged.has_more_pages, first[0], first[-1]))
state = paged.paging_state
check('all pages', lambda: len(session.execute(pages).all()))
check('from a state', lambda: [c for (c,) in session.execute(pages, paging_state=state).current_rows])
check('pages of one row', lambda: len(session.execute(SimpleStatement('SELECT c FROM wide WHERE k = 50 LIMIT 23', fetch_size=1)).all()))
check('by index', lambda: sorted(session.execute(SimpleStatement("SELECT k, c FROM wide WHERE v = 'warned'", fetch_size=5)).all())[:3])
check('allow filtering', lambda: len(session.execute(SimpleStatement('SELECT k FROM wide WHERE c = 1 ALLOW FILTERING', fetch_size=4)).all()))
check('groups', lambda: session.execute('SELECT k, count(*), max(c) FROM wide WHERE k IN (50, 20) GROUP BY k').all())
check('per partition limit', lambda: session.execute('SELECT k, c FROM wide WHERE k IN (50, 20) PER PARTITION LIMIT 2').all())
check('columns of an empty result', lambda: session.execute('SELECT c, v FROM wide WHERE k = 999').column_names)

# Errors.
for name, text in [
    ('syntax', 'SELEC 1'), ('no table', 'SELECT * FROM nothing'), ('no keyspace', 'SELECT * FROM nowhere.nothing'), ('no column', 'SELECT nothing FROM wide'), ('no key', "UPDATE wide SET v = 'x' WHERE k = 1"),
    ('wrong type', "INSERT INTO wide (k, c) VALUES ('a', 1)"), ('filtering', "SELECT * FROM wide WHERE c = 1"), ('use of nothing', 'USE nowhere_at_all'), ('bind', 'SELECT * FROM wide WHERE k = :k'),
]:
    check(f'error: {name}', lambda: session.execute(text))
check('error: prepare', lambda: session.prepare('SELECT nothing FROM wide'))
check('error: a value of another type', lambda: session.execute('INSERT INTO wide (k, c, v) VALUES (%s, %s, %s)', [1, 'x', 'y']))
# Without a retry: whether the driver has noted the failure before it gives up is a matter of its threads.
check('unavailable', lambda: session.execute(SimpleStatement('SELECT * FROM wide WHERE k = 1', consistency_level=ConsistencyLevel.THREE, retry_policy=FallthroughRetryPolicy())))
check('unavailable to write', lambda: session.execute(SimpleStatement('INSERT INTO wide (k, c) VALUES (1, 1)', consistency_level=ConsistencyLevel.TWO, retry_policy=FallthroughRetryPolicy())))


# Traces.
def traced():
    result = session.execute('SELECT v FROM wide WHERE k = 20 AND c = 1', trace=True)
    trace = result.get_query_trace(max_wait_sec=30)
    return trace.request_type, len(trace.events) > 0, trace.parameters.get('query')


check('trace', traced)
check('rows as dictionaries', lambda: session.execute('SELECT k, c, v FROM wide WHERE k = 20', execution_profile=session.execution_profile_clone_update(EXEC_PROFILE_DEFAULT, row_factory=dict_factory)).all())

# Definitions that change under what is prepared.
star = session.prepare('SELECT * FROM many WHERE k = ?')
session.execute("INSERT INTO many (k, v) VALUES (-1, 'before')")
check('before ALTER', lambda: session.execute(star, [-1]).one())
check('alter', lambda: session.execute('ALTER TABLE many ADD added int').all())
check('after ALTER', lambda: session.execute(star, [-1]).one().v)
check('new column known', lambda: sorted(cluster.metadata.keyspaces[ks].tables['many'].columns))

ask('half')
# What was written before is there, prepared statements live on, pages go on.
check('after the switch: pages go on', lambda: [c for (c,) in session.execute(pages, paging_state=state).current_rows])
check('after the switch: all pages', lambda: len(session.execute(pages).all()))
check('after the switch: prepared before', lambda: (session.execute(wide, [60, 1, 'after']).all(), session.execute(timed, [60, 1]).one().v))
check('after the switch: rows from before', lambda: session.execute('SELECT c, v FROM wide WHERE k = 20').all())
check('after the switch: counters', lambda: (session.execute(add, [5, 2]).all(), session.execute('SELECT n FROM counts WHERE k = 2').one()))
check('after the switch: conditional', lambda: (session.execute(conditional, [2, 'no', 1]).all(), session.execute(conditional, [70, 'yes', 1]).all()))
check('after the switch: lists', lambda: (session.execute('UPDATE nested SET l = l + [99] WHERE k = 1000').all(), session.execute('SELECT l, s, m, ad FROM nested WHERE k = 1000').one()))
check('after the switch: all scalars', lambda: [len(session.execute(f'SELECT k, {column} FROM scalars').all()) for column in scalars])
check('after the switch: types', lambda: session.execute('SELECT ad, fad, lad, v FROM nested').all())
check('after the switch: definitions', lambda: (session.execute('CREATE TABLE later (k int PRIMARY KEY)').all(), 'later' in cluster.metadata.keyspaces[ks].tables, session.execute('DROP TABLE later').all(), 'later' in cluster.metadata.keyspaces[ks].tables))
check('after the switch: truncate', lambda: (session.execute('TRUNCATE many').all(), session.execute('SELECT count(*) FROM many').one()))

ask('restart')


def until_it_answers():
    deadline = time.time() + 60
    while True:
        try:
            return session.execute(timed, [60, 1]).one().v
        except (NoHostAvailable, OperationTimedOut) as error:
            if time.time() > deadline:
                raise error
            time.sleep(0.05)


check('after a restart', until_it_answers)
check('after a restart: prepared before', lambda: (session.execute(wide, [61, 1, 'again']).all(), session.execute(timed, [61, 1]).one().v))
again = BatchStatement()
again.add(wide, [62, 1, 'a'])
again.add(wide, [62, 2, 'b'])
check('after a restart: a batch of prepared', lambda: (session.execute(again).all(), len(session.execute('SELECT * FROM wide WHERE k = 62').all())))
check('after a restart: keyspace in use', lambda: session.execute('SELECT count(*) FROM wide WHERE k = 50').one())

# Many at once, over every way to be compressed.
insert_many = session.prepare('INSERT INTO many (k, v) VALUES (?, ?)')
check('two thousand at once', lambda: (sum(success for success, _ in execute_concurrent_with_args(session, insert_many, [(each, 'v' * (each % 300)) for each in range(2000)], concurrency=500)), session.execute('SELECT count(*) FROM many').one()))
for compression in ['lz4', 'snappy']:
    def compressed():
        other, others = connect(compression=compression)
        others.set_keyspace(ks)
        put = others.prepare('INSERT INTO many (k, v) VALUES (?, ?)')
        results = execute_concurrent_with_args(others, put, [(each, 'compressible ' * (each % 50)) for each in range(200)], concurrency=50)
        rows = others.execute(SimpleStatement('SELECT k, v FROM many WHERE k IN (1, 49, 99)', fetch_size=2)).all()
        big = others.execute("SELECT t FROM scalars").all()
        other.shutdown()
        return sum(success for success, _ in results), [(k, len(v)) for k, v in sorted(rows)], sum(len(t or '') for (t,) in big)
    check(f'compression {compression}', compressed)


def speculative():
    other, others = connect(profile={'speculative_execution_policy': ConstantSpeculativeExecutionPolicy(0.01, 2)})
    others.set_keyspace(ks)
    put = others.prepare('INSERT INTO many (k, v) VALUES (?, ?)')
    put.is_idempotent = True
    for each in range(50):
        others.execute(put, [5000 + each, 'speculative'])
    other.shutdown()
    return session.execute('SELECT count(*) FROM many').one()


check('speculative executions', speculative)


def version_3():
    other, others = connect(protocol_version=3)
    others.set_keyspace(ks)
    put = others.prepare('INSERT INTO many (k, v) VALUES (?, ?)')
    others.execute(put, [9000, 'version 3'])
    rows = others.execute('SELECT v FROM many WHERE k = 9000').all()
    other.shutdown()
    return rows


check('protocol 3', version_3)
cluster.shutdown()
print(f'checks => {checks}')
