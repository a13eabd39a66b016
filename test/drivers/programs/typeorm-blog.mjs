/** A blog's application on TypeORM: its tables, and one round of what it does. A round's lines say what was answered. */
import { And, Between, Brackets, DataSource, EntitySchema, In, IsNull, LessThan, Like, MoreThan, MoreThanOrEqual, Not, Or, Raw } from 'typeorm';
import { Steps } from './application.mjs';

const stamps = { createdAt: { type: 'datetime', createDate: true }, updatedAt: { type: 'datetime', updateDate: true } };
/** What foreign keys do by themselves MariaDB does not log. */
const kept = { onDelete: 'NO ACTION', onUpdate: 'NO ACTION' };

const User = new EntitySchema({
  name: 'User', tableName: 'user',
  columns: {
    id: { type: 'int', primary: true, generated: true }, email: { type: 'varchar', length: 190, unique: true }, name: { type: 'varchar', length: 100 }, role: { type: 'enum', enum: ['reader', 'author', 'admin'], default: 'reader' },
    settings: { type: 'json', nullable: true }, balance: { type: 'decimal', precision: 12, scale: 2, default: 0 }, born: { type: 'date', nullable: true }, wakes: { type: 'time', nullable: true }, isActive: { type: 'boolean', default: true },
    ...stamps, deletedAt: { type: 'datetime', deleteDate: true, nullable: true }, version: { type: 'int', version: true },
  },
  relations: {
    profile: { type: 'one-to-one', target: 'Profile', inverseSide: 'user', cascade: true }, posts: { type: 'one-to-many', target: 'Post', inverseSide: 'author' },
  },
});
const Profile = new EntitySchema({
  name: 'Profile', tableName: 'profile',
  columns: { id: { type: 'int', primary: true, generated: true }, bio: { type: 'text' }, links: { type: 'simple-json', nullable: true }, labels: { type: 'simple-array', nullable: true }, avatar: { type: 'varbinary', length: 200, nullable: true } },
  relations: { user: { type: 'one-to-one', target: 'User', joinColumn: true, inverseSide: 'profile', ...kept } },
});
const Post = new EntitySchema({
  name: 'Post', tableName: 'post',
  columns: {
    id: { type: 'bigint', primary: true, generated: true, unsigned: true }, slug: { type: 'varchar', length: 120, unique: true }, title: { type: 'varchar', length: 200 }, body: { type: 'longtext', nullable: true },
    status: { type: 'enum', enum: ['draft', 'published', 'archived'], default: 'draft' }, views: { type: 'int', unsigned: true, default: 0 }, rating: { type: 'double', nullable: true }, price: { type: 'decimal', precision: 10, scale: 2, nullable: true },
    publishedAt: { type: 'datetime', nullable: true }, meta: { type: 'json', nullable: true }, isPinned: { type: 'tinyint', width: 1, default: 0 }, ...stamps, deletedAt: { type: 'datetime', deleteDate: true, nullable: true }, version: { type: 'int', version: true },
  },
  indices: [{ columns: ['status', 'publishedAt'] }],
  relations: {
    author: { type: 'many-to-one', target: 'User', inverseSide: 'posts', nullable: false, ...kept }, comments: { type: 'one-to-many', target: 'Comment', inverseSide: 'post', cascade: ['insert'] },
    tags: { type: 'many-to-many', target: 'Tag', joinTable: { name: 'post_tags' }, inverseSide: 'posts', cascade: ['insert'], ...kept },
  },
});
const Tag = new EntitySchema({
  name: 'Tag', tableName: 'tag', columns: { id: { type: 'int', primary: true, generated: true }, name: { type: 'varchar', length: 60, unique: true } },
  relations: { posts: { type: 'many-to-many', target: 'Post', inverseSide: 'tags', ...kept } },
});
const Comment = new EntitySchema({
  name: 'Comment', tableName: 'comment', columns: { id: { type: 'int', primary: true, generated: true }, body: { type: 'text' }, likes: { type: 'int', default: 0 }, ...stamps },
  relations: {
    post: { type: 'many-to-one', target: 'Post', inverseSide: 'comments', ...kept }, author: { type: 'many-to-one', target: 'User', nullable: true, ...kept },
    parent: { type: 'many-to-one', target: 'Comment', nullable: true, inverseSide: 'replies', ...kept }, replies: { type: 'one-to-many', target: 'Comment', inverseSide: 'parent' },
  },
});

/** A key that is made by the application, and one of several columns. */
const Setting = new EntitySchema({
  name: 'Setting', tableName: 'setting',
  columns: { scope: { type: 'varchar', length: 40, primary: true }, name: { type: 'varchar', length: 40, primary: true }, value: { type: 'text', nullable: true }, changes: { type: 'int', default: 0 } },
});
const Session = new EntitySchema({
  name: 'Session', tableName: 'session', columns: { id: { type: 'uuid', primary: true, generated: 'uuid' }, expires: { type: 'bigint' }, data: { type: 'blob', nullable: true } },
});

export const entities = [User, Profile, Post, Tag, Comment, Setting, Session];

/** `place`: host, port, user, password, database. */
export async function openTypeorm(place, { isMariadb, makesTables = false, driver, logger }) {
  const { host, port, user, password, database } = place;
  const source = new DataSource({ type: isMariadb ? 'mariadb' : 'mysql', driver, host, port, username: user, password, database, entities, synchronize: makesTables, timezone: 'Z', charset: 'utf8mb4', poolSize: 4, ...(logger === undefined ? {} : { logging: true, logger }) });
  await source.initialize();
  return { round: () => round(source), close: () => source.destroy() };
}

async function round(source) {
  const steps = new Steps();
  const repositories = Object.fromEntries(entities.map((entity) => [entity.options.name, source.getRepository(entity)]));
  for (const part of [clean, write, find, build, change, transact, remove]) await steps.step(part.name, () => part(source, repositories, steps));
  return steps.lines;
}

async function clean(source, _repositories, { step }) {
  for (const table of ['post_tags', 'comment', 'profile', 'post', 'tag', 'user', 'setting', 'session']) await step(`clean ${table}`, async () => void await source.query(`DELETE FROM \`${table}\` ORDER BY ${{ post_tags: 'postId', setting: 'scope' }[table] ?? 'id'} DESC`));
}

async function write(_source, { User: users, Post: posts, Tag: tags, Comment: comments, Setting: settings, Session: sessions }, steps) {
  const { step } = steps;
  await step('one with its profile', () => users.save({ email: 'ann@example.com', name: 'Ann Ämter', role: 'admin', settings: { theme: 'dark', sizes: [1, 2.5, null], on: true }, balance: '100.50', born: '1990-02-28', wakes: '06:30:00', profile: { bio: "It's \\ \"quoted\" %_ 漢字 😀", links: { a: 'b' }, labels: ['x', 'y'], avatar: Buffer.from([0, 1, 255]) } }));
  await step('several', () => users.save(['bob', 'cem', 'dee', 'eva'].map((name, at) => ({ email: `${name}@example.com`, name, role: at % 2 === 0 ? 'author' : 'reader', balance: (at * 10.25).toFixed(2), isActive: at !== 2 }))));
  await step('bulk', async () => (await tags.insert(['news', 'sql', 'Über', 'zoo', 'a_b'].map((name) => ({ name })))).identifiers.length);
  const all = await users.find({ order: { email: 'ASC' } });
  const named = Object.fromEntries((await tags.find()).map((tag) => [tag.name, tag]));
  await step('with tags and comments', () => posts.save({ slug: 'first', title: 'First post', body: 'Lorem ipsum', status: 'published', author: all[0], publishedAt: new Date('2024-03-01T10:00:00Z'), rating: 4.5, price: '9.99', meta: { k: 'ü', deep: { n: 1 } }, tags: [named.news, named.sql], comments: [{ body: 'Nice', author: all[1] }, { body: 'Hm', author: all[2] }] }));
  await step('many', () => posts.save(Array.from({ length: 12 }, (_, at) => ({ slug: `post-${String(at).padStart(2, '0')}`, title: `Title ${at} 100%`, body: at % 3 === 0 ? null : 'x'.repeat(at * 50), status: ['draft', 'published', 'archived'][at % 3], views: at * 7, rating: at / 4, author: all[at % 3], publishedAt: at % 3 === 1 ? new Date(Date.UTC(2024, at, 5, 12, at)) : null, tags: at % 2 === 0 ? [named.news, named.zoo] : [named.Über] }))));
  const first = await posts.findOneByOrFail({ slug: 'first' });
  await step('a reply', async () => comments.save({ body: 'Thanks', post: first, parent: await comments.findOneBy({ body: 'Nice' }), author: all[0] }));
  await step('own keys', () => settings.save([{ scope: 'site', name: 'title', value: 'Blog' }, { scope: 'site', name: 'empty', value: '' }, { scope: 'mail', name: 'title', value: null }]));
  await step('uuid', async () => (await sessions.save({ expires: '9007199254740993', data: Buffer.from('bytes') })).id.length);
  await step('by its uuid', async () => sessions.findOneBy({ id: (await sessions.find())[0].id }));
}

async function find(_source, { User: users, Post: posts, Tag: tags, Comment: comments, Setting: settings }, steps) {
  const { step } = steps;
  await step('all', () => users.find({ order: { email: 'ASC' } }));
  await step('relations', () => users.find({ relations: { profile: true, posts: { tags: true } }, order: { email: 'ASC', posts: { slug: 'DESC', tags: { name: 'ASC' } } } }));
  await step('relations by queries', () => posts.find({ relations: { author: true, tags: true, comments: { author: true } }, relationLoadStrategy: 'query', order: { slug: 'ASC', tags: { name: 'ASC' }, comments: { body: 'ASC' } }, where: { status: 'published' } }));
  await step('page of relations', () => posts.findAndCount({ relations: { author: true, tags: true }, order: { publishedAt: 'DESC', slug: 'ASC', tags: { name: 'ASC' } }, skip: 2, take: 3 }));
  await step('page', () => posts.findAndCount({ where: { status: Not('archived') }, order: { views: 'DESC', slug: 'ASC' }, skip: 1, take: 4, select: { slug: true, views: true, status: true } }));
  await step('operators', () => posts.find({ where: [{ views: Between(10, 40), body: Not(IsNull()) }, { title: Like('%1_ 100\\%') }, { rating: And(MoreThan(2), LessThan(2.6)) }], order: { slug: 'ASC' }, select: { slug: true } }));
  await step('or', () => posts.find({ where: { views: Or(LessThan(10), MoreThanOrEqual(70)), author: { email: In(['ann@example.com', 'bob@example.com']) } }, order: { slug: 'ASC' }, select: { slug: true, author: { email: true } }, relations: { author: true } }));
  await step('raw operator', () => posts.find({ where: { publishedAt: Raw((alias) => `${alias} > :since AND YEAR(${alias}) = 2024`, { since: new Date('2024-04-01T00:00:00Z') }) }, order: { slug: 'ASC' }, select: { slug: true, publishedAt: true } }));
  await step('in nothing', () => posts.find({ where: { slug: In([]) } }));
  await step('by a relation', () => posts.find({ where: { tags: { name: 'news' }, author: { isActive: true } }, order: { slug: 'ASC' }, select: { slug: true } }));
  await step('counts', async () => [await posts.count(), await posts.countBy({ status: 'draft' }), await posts.exists({ where: { slug: 'first' } }), await posts.existsBy({ slug: 'none' })]);
  await step('sums', async () => [await posts.sum('views', { status: 'draft' }), await posts.average('views'), await posts.minimum('rating'), await posts.maximum('views', {}), await posts.sum('price')]);
  await step('tree', () => comments.find({ where: { parent: IsNull() }, relations: { replies: { author: true }, post: true }, order: { body: 'ASC' } }));
  await step('not case', () => users.findOneBy({ email: 'ANN@EXAMPLE.COM' }));
  await step('accents', () => tags.findBy({ name: 'uber' }));
  await step('key of two', () => settings.find({ where: { scope: 'site' }, order: { name: 'ASC' } }));
  await step('none', () => users.findOne({ where: { email: 'nobody' }, relations: { posts: true } }));
  await step('or fail', () => users.findOneByOrFail({ email: 'nobody' }).catch((error) => error.name));
  await step('unselected', () => users.find({ select: { id: true, email: true, name: true }, order: { name: 'DESC' }, take: 2, relations: { profile: true } }));
}

async function build(source, { User: users, Post: posts, Comment: comments }, steps) {
  const { step } = steps;
  await step('grouped', () => posts.createQueryBuilder('p').innerJoin('p.author', 'a').select('a.name', 'name').addSelect('COUNT(*)', 'n').addSelect('SUM(p.views)', 'views').addSelect('AVG(p.rating)', 'rating').where('p.status <> :no', { no: 'archived' }).groupBy('a.id').addGroupBy('a.name').having('COUNT(*) > :least', { least: 1 }).orderBy('n', 'DESC').addOrderBy('a.name', 'ASC').getRawMany());
  await step('subquery IN', () => users.createQueryBuilder('u').where((builder) => `u.id IN ${builder.subQuery().select('p.authorId').from(Post, 'p').where('p.status = :status').getQuery()}`).setParameter('status', 'published').orderBy('u.email').getMany());
  await step('EXISTS', () => posts.createQueryBuilder('p').select(['p.slug']).whereExists(comments.createQueryBuilder('c').where('c.postId = p.id')).getMany());
  await step('subquery as column', () => users.createQueryBuilder('u').select('u.name', 'name').addSelect((sub) => sub.select('COUNT(*)').from(Post, 'p').where('p.authorId = u.id'), 'posts').orderBy('posts', 'DESC').addOrderBy('u.name').getRawMany());
  await step('from a subquery', () => source.createQueryBuilder().select('t.status', 'status').addSelect('MAX(t.n)', 'most').from((sub) => sub.select('p.status', 'status').addSelect('p.authorId', 'author').addSelect('COUNT(p.id)', 'n').from(Post, 'p').groupBy('p.status').addGroupBy('p.authorId'), 't').groupBy('t.status').orderBy('t.status').getRawMany());
  await step('joined on', () => posts.createQueryBuilder('post').leftJoinAndSelect('post.tags', 'tag', 'tag.name IN (:...names)', { names: ['news', 'Über'] }).leftJoinAndSelect('post.comments', 'comment').where(new Brackets((inner) => inner.where('post.views > :v', { v: 30 }).orWhere('post.slug = :s', { s: 'first' }))).andWhere('post.deletedAt IS NULL').orderBy('post.slug').addOrderBy('tag.name').addOrderBy('comment.body').getMany());
  await step('page of joins', () => posts.createQueryBuilder('post').leftJoinAndSelect('post.tags', 'tag').leftJoinAndSelect('post.author', 'author').orderBy('author.name', 'DESC').addOrderBy('post.slug', 'ASC').addOrderBy('tag.name').skip(3).take(4).getManyAndCount());
  await step('raw and entities', async () => (await posts.createQueryBuilder('p').addSelect('CHAR_LENGTH(p.body)', 'size').addSelect('UPPER(p.slug)', 'loud').where('p.body IS NOT NULL').orderBy('p.slug').limit(3).getRawAndEntities()).raw.map(({ size, loud }) => ({ size, loud })));
  await step('mapped', () => users.createQueryBuilder('u').leftJoinAndMapMany('u.drafts', 'u.posts', 'd', 'd.status = :draft', { draft: 'draft' }).orderBy('u.email').addOrderBy('d.slug').getMany());
  await step('distinct', () => posts.createQueryBuilder('p').select('DISTINCT p.status', 'status').orderBy('p.status').getRawMany());
  await step('choices', () => posts.createQueryBuilder('p').select('p.slug', 'slug').addSelect("CASE WHEN p.views >= 40 THEN 'hot' WHEN p.views > 0 THEN 'warm' ELSE 'cold' END", 'heat').addSelect('IFNULL(p.price, 0)', 'price').addSelect("CONCAT(p.slug, '/', p.views)", 'path').orderBy('p.slug').limit(5).getRawMany());
  await step('months', () => posts.createQueryBuilder('p').select("DATE_FORMAT(p.publishedAt, '%Y-%m')", 'month').addSelect('COUNT(*)', 'n').where('p.publishedAt IS NOT NULL').groupBy('month').orderBy('month').getRawMany());
  await step('raw', () => source.query('SELECT u.name, p.title, p.views FROM `user` u JOIN `post` p ON p.authorId = u.id WHERE p.views BETWEEN ? AND ? AND p.title LIKE ? ORDER BY p.views DESC, p.id LIMIT ?', [5, 60, 'Title%', 4]));
  await step('raw with CTE', () => source.query('WITH best AS (SELECT authorId, MAX(views) AS top FROM post GROUP BY authorId) SELECT u.name, b.top FROM best b JOIN `user` u ON u.id = b.authorId ORDER BY b.top DESC'));
  await step('raw windows', () => source.query('SELECT slug, ROW_NUMBER() OVER (PARTITION BY status ORDER BY views DESC, slug) AS place, SUM(views) OVER (PARTITION BY status) AS total FROM post ORDER BY status, place'));
  await step('union', () => source.query("SELECT name AS what FROM tag UNION ALL SELECT slug FROM post WHERE status = 'draft' ORDER BY what"));
  await step('streamed', async () => {
    const stream = await users.createQueryBuilder('u').orderBy('u.email').stream();
    const rows = [];
    for await (const row of stream) rows.push(row.u_email);
    return rows;
  });
}

async function change(source, { User: users, Post: posts, Tag: tags, Setting: settings, Comment: comments }, steps) {
  const { step } = steps;
  await step('save a change', async () => {
    const user = await users.findOneByOrFail({ email: 'bob@example.com' });
    user.settings = { theme: 'light', n: 12 };
    user.balance = '7.75';
    await users.save(user);
    return users.findOneByOrFail({ email: 'bob@example.com' });
  });
  await step('unchanged', async () => (await users.save(await users.findOneByOrFail({ email: 'bob@example.com' }))).version);
  await step('update', async () => (await posts.update({ status: 'draft' }, { views: 5 })).affected);
  await step('update to the same', async () => (await posts.update({ status: 'draft' }, { price: '1.10' })).affected);
  await step('increment', async () => [(await posts.increment({ slug: 'first' }, 'views', 3)).affected, (await users.decrement({ email: 'ann@example.com' }, 'balance', 0.5)).affected]);
  await step('update by expression', async () => (await posts.createQueryBuilder().update().set({ views: () => 'views * 2 + 1', title: () => "CONCAT(title, ' (', status, ')')" }).where('views > :n AND status = :s', { n: 20, s: 'published' }).execute()).affected);
  await step('update in order', async () => (await posts.createQueryBuilder().update().set({ isPinned: 1 }).orderBy('slug', 'DESC').limit(2).execute()).affected);
  await step('after updates', () => posts.find({ order: { slug: 'ASC' }, select: { slug: true, title: true, views: true, price: true, isPinned: true, version: true } }));
  await step('tags replaced', async () => {
    const post = await posts.findOneOrFail({ where: { slug: 'first' }, relations: { tags: true } });
    post.tags = [...post.tags.filter(({ name }) => name !== 'sql'), await tags.findOneByOrFail({ name: 'zoo' })];
    await posts.save(post);
    return posts.find({ where: { slug: 'first' }, relations: { tags: true }, order: { tags: { name: 'ASC' } } });
  });
  await step('relation builder', async () => {
    const post = await posts.findOneByOrFail({ slug: 'post-01' });
    const found = await tags.findOneByOrFail({ name: 'a_b' });
    await posts.createQueryBuilder().relation('tags').of(post).add(found);
    const added = (await posts.createQueryBuilder().relation('tags').of(post).loadMany()).map(({ name }) => name).sort();
    await posts.createQueryBuilder().relation('tags').of(post).remove(found);
    await comments.createQueryBuilder().relation('post').of(await comments.findOneByOrFail({ body: 'Hm' })).set(post);
    return added;
  });
  await step('upsert', async () => {
    await settings.upsert([{ scope: 'site', name: 'title', value: 'Blog 2', changes: 1 }, { scope: 'site', name: 'fresh', value: 'new' }], ['scope', 'name']);
    return settings.find({ order: { scope: 'ASC', name: 'ASC' } });
  });
  await step('upsert of a second key', async () => {
    await users.upsert([{ email: 'ann@example.com', name: 'Ann A.' }, { email: 'fay@example.com', name: 'Fay' }], { conflictPaths: ['email'], skipUpdateIfNoValuesChanged: true });
    return users.find({ order: { email: 'ASC' }, select: { email: true, name: true, version: true } });
  });
  await step('or update', async () => (await tags.createQueryBuilder().insert().values([{ name: 'news' }, { name: 'fresh' }]).orUpdate(['name'], ['name']).execute()).raw.affectedRows);
  await step('or ignore', async () => (await tags.createQueryBuilder().insert().values([{ name: 'news' }, { name: 'fresher' }]).orIgnore().execute()).raw.affectedRows);
  await step('tags', () => tags.find({ order: { name: 'ASC' } }));
  await step('duplicate', () => users.insert({ email: 'ann@example.com', name: 'Twin' }));
  await step('no parent', async () => { await source.query('INSERT INTO profile (bio, userId) VALUES (?, ?)', ['x', 123456789]); }).then(() => undefined);
  steps.lines.push(steps.lines.pop().replace(/"message":".*"/, '"message":"…"'));
  await step('too long', () => users.insert({ email: 'long@example.com', name: 'n'.repeat(101) }));
  await step('no label', () => source.query("SELECT COUNT(*) AS n FROM `user` WHERE role = 'admin' OR role = 'reader'"));
  await step('soft delete', async () => [(await users.softDelete({ email: 'dee@example.com' })).affected, await users.count(), await users.count({ withDeleted: true })]);
  await step('with deleted', () => users.find({ withDeleted: true, where: { deletedAt: Not(IsNull()) } }));
  await step('soft remove', async () => posts.softRemove(await posts.findOneByOrFail({ slug: 'post-03' })));
  await step('restore', async () => [(await users.restore({ email: 'dee@example.com' })).affected, await users.countBy({ email: 'dee@example.com' })]);
  await step('recover', async () => (await posts.recover(await posts.findOneOrFail({ where: { slug: 'post-03' }, withDeleted: true }))).slug);
}

async function transact(source, { User: users, Post: posts }, steps) {
  const { step } = steps;
  const balances = () => users.find({ order: { email: 'ASC' }, select: { email: true, balance: true } });
  await step('transfer', async () => {
    await source.transaction(async (manager) => {
      const [from, to] = await Promise.all(['ann', 'bob'].map((name) => manager.findOneOrFail(User, { where: { email: `${name}@example.com` }, lock: { mode: 'pessimistic_write' } })));
      await manager.decrement(User, { id: from.id }, 'balance', 10.25);
      await manager.increment(User, { id: to.id }, 'balance', 10.25);
      await manager.insert(Setting, { scope: 'audit', name: 'transfer', value: '10.25' });
    });
    return balances();
  });
  await step('given up', async () => {
    await source.transaction(async (manager) => {
      await manager.update(User, { email: 'ann@example.com' }, { balance: '0' });
      await manager.insert(Setting, { scope: 'audit', name: 'never', value: '' });
      throw new Error('given up');
    }).catch((error) => error.message);
    return balances();
  });
  await step('nested', async () => {
    await source.transaction(async (manager) => {
      await manager.update(User, { email: 'cem@example.com' }, { balance: '50' });
      await manager.transaction(async (inner) => {
        await inner.update(User, { email: 'cem@example.com' }, { balance: '60' });
        throw new Error('inner');
      }).catch(() => undefined);
      await manager.transaction((inner) => inner.update(User, { email: 'bob@example.com' }, { balance: '1' }));
    });
    return balances();
  });
  for (const level of ['READ COMMITTED', 'SERIALIZABLE']) await step(level, () => source.transaction(level, async (manager) => {
    const count = await manager.count(Post);
    await manager.increment(Post, { slug: 'first' }, 'views', 1);
    return [count, await manager.sum(Post, 'views')];
  }));
  await step('an error within', () => source.transaction(async (manager) => {
    await manager.insert(Tag, { name: 'within' });
    const failed = await manager.insert(Tag, { name: 'within' }).catch((error) => error.code);
    return [failed, await manager.count(Tag)];
  }));
  await step('shared lock', () => source.transaction((manager) => manager.find(Post, { where: { status: 'archived' }, lock: { mode: 'pessimistic_read' }, order: { slug: 'ASC' }, select: { slug: true } })));
  await step('skip locked', () => source.transaction((manager) => manager.find(Post, { where: { status: 'draft' }, lock: { mode: 'pessimistic_partial_write' }, order: { slug: 'ASC' }, take: 2, select: { slug: true } })));
  await step('optimistic', async () => {
    const { version } = await posts.findOneByOrFail({ slug: 'first' });
    const found = await posts.findOne({ where: { slug: 'first' }, lock: { mode: 'optimistic', version } });
    return [found.slug, await posts.findOne({ where: { slug: 'first' }, lock: { mode: 'optimistic', version: version + 1 } }).catch((error) => error.name)];
  });
  await step('at once', async () => {
    await Promise.all(Array.from({ length: 6 }, (_, at) => posts.increment({ slug: `post-0${at}` }, 'views', at)));
    return (await Promise.all(Array.from({ length: 6 }, (_, at) => posts.findOneByOrFail({ slug: `post-0${at}` })))).map(({ views }) => views);
  });
  await step('query runner', async () => {
    const runner = source.createQueryRunner();
    await runner.connect();
    try {
      await runner.startTransaction();
      await runner.manager.save(Tag, { name: 'runner' });
      const seen = await runner.query('SELECT COUNT(*) AS n FROM tag WHERE name = ?', ['runner']);
      await runner.rollbackTransaction();
      return [seen, await runner.query('SELECT COUNT(*) AS n FROM tag WHERE name = ?', ['runner'])];
    } finally {
      await runner.release();
    }
  });
}

async function remove(source, { User: users, Post: posts, Comment: comments, Setting: settings, Tag: tags }, steps) {
  const { step } = steps;
  await step('of a parent', () => users.delete({ email: 'ann@example.com' }));
  steps.lines.push(steps.lines.pop().replace(/"message":".*"/, '"message":"…"'));
  await step('removed', async () => (await posts.remove(await posts.findOneOrFail({ where: { slug: 'post-11' }, relations: { tags: true } }))).slug);
  await step('deleted', async () => [(await settings.delete({ scope: 'audit' })).affected, (await settings.delete(['none'].map((scope) => ({ scope, name: 'x' })))).affected]);
  await step('by a subquery', async () => (await comments.createQueryBuilder().delete().where('`postId` IN (SELECT `id` FROM `post` WHERE `slug` = :slug) AND `parentId` IS NULL AND `id` NOT IN (SELECT * FROM (SELECT `parentId` FROM `comment` WHERE `parentId` IS NOT NULL) AS `t`)', { slug: 'post-01' }).execute()).affected);
  await step('orphans', async () => (await tags.createQueryBuilder().delete().where('id NOT IN (SELECT tagId FROM post_tags)').execute()).affected);
  await step('left', async () => [await users.count(), await posts.count(), await comments.count(), await settings.count(), await tags.count(), await source.query('SELECT COUNT(*) AS n FROM post_tags')]);
}
