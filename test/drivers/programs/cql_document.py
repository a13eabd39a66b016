"""
An application as the product's document shows one: the driver with nothing set but the protocol's version, statements prepared. Arguments: port, a tenant that the filter rules keep from the target.
Prints a line for each answer.
"""
import sys
import uuid

from cassandra.cluster import Cluster

port, blocked = int(sys.argv[1]), uuid.UUID(sys.argv[2])
tenant, file = uuid.UUID(int=1), uuid.UUID(int=2)
insert = 'INSERT INTO files (system_domain_id, id, name, size, status) VALUES (?, ?, ?, ?, ?)'

cluster = Cluster(contact_points=['127.0.0.1'], port=port, protocol_version=4)
session = cluster.connect()
session.set_keyspace('files_keyspace')


def run(text, values):
    return session.execute(session.prepare(text), values)


run(insert, [tenant, file, 'test.jpg', 1024, 'CLOSED'])
for text in ['CLOSED', 'ARCHIVED']:
    for row in run('SELECT * FROM files WHERE system_domain_id = ? AND id = ?', [tenant, file]):
        print(f'{row.name} ({row.size} bytes, status={row.status})')
    run('UPDATE files SET status = ? WHERE system_domain_id = ? AND id = ?', ['ARCHIVED', tenant, file])
run(insert, [blocked, uuid.UUID(int=3), 'blocked.jpg', 2048, 'CLOSED'])
try:
    # A driver without markers in plain statements refuses them itself, before anything is sent.
    session.execute(insert, [tenant, file, 'test.jpg', 1024, 'CLOSED'])
except TypeError:
    print('unprepared: refused by the driver')
cluster.shutdown()
