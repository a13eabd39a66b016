/**
 * A site like WordPress: its twelve tables, and one round of the statements that such a site sends, by their shapes: as the program's settings of a session are, one connection,
 * texts without parameters, values of every kind in quotes.
 */
import { Steps } from './application.mjs';

const collation = 'utf8mb4_unicode_520_ci';
const never = '0000-00-00 00:00:00';
const meta = (of, key) => `CREATE TABLE wp_${of}meta (${key} bigint(20) unsigned NOT NULL auto_increment, ${of}_id bigint(20) unsigned NOT NULL default '0', meta_key varchar(255) default NULL, meta_value longtext, PRIMARY KEY (${key}), KEY ${of}_id (${of}_id), KEY meta_key (meta_key(191)))`;

const tables = [
  meta('term', 'meta_id'), meta('comment', 'meta_id'), meta('post', 'meta_id'), meta('user', 'umeta_id'),
  "CREATE TABLE wp_terms (term_id bigint(20) unsigned NOT NULL auto_increment, name varchar(200) NOT NULL default '', slug varchar(200) NOT NULL default '', term_group bigint(10) NOT NULL default 0, PRIMARY KEY (term_id), KEY slug (slug(191)), KEY name (name(191)))",
  "CREATE TABLE wp_term_taxonomy (term_taxonomy_id bigint(20) unsigned NOT NULL auto_increment, term_id bigint(20) unsigned NOT NULL default 0, taxonomy varchar(32) NOT NULL default '', description longtext NOT NULL, parent bigint(20) unsigned NOT NULL default 0, count bigint(20) NOT NULL default 0, PRIMARY KEY (term_taxonomy_id), UNIQUE KEY term_id_taxonomy (term_id, taxonomy), KEY taxonomy (taxonomy))",
  'CREATE TABLE wp_term_relationships (object_id bigint(20) unsigned NOT NULL default 0, term_taxonomy_id bigint(20) unsigned NOT NULL default 0, term_order int(11) NOT NULL default 0, PRIMARY KEY (object_id, term_taxonomy_id), KEY term_taxonomy_id (term_taxonomy_id))',
  `CREATE TABLE wp_comments (comment_ID bigint(20) unsigned NOT NULL auto_increment, comment_post_ID bigint(20) unsigned NOT NULL default '0', comment_author tinytext NOT NULL, comment_author_email varchar(100) NOT NULL default '', comment_author_url varchar(200) NOT NULL default '',
    comment_author_IP varchar(100) NOT NULL default '', comment_date datetime NOT NULL default '${never}', comment_date_gmt datetime NOT NULL default '${never}', comment_content text NOT NULL, comment_karma int(11) NOT NULL default '0', comment_approved varchar(20) NOT NULL default '1',
    comment_agent varchar(255) NOT NULL default '', comment_type varchar(20) NOT NULL default 'comment', comment_parent bigint(20) unsigned NOT NULL default '0', user_id bigint(20) unsigned NOT NULL default '0', PRIMARY KEY (comment_ID), KEY comment_post_ID (comment_post_ID),
    KEY comment_approved_date_gmt (comment_approved, comment_date_gmt), KEY comment_date_gmt (comment_date_gmt), KEY comment_parent (comment_parent), KEY comment_author_email (comment_author_email(10)))`,
  `CREATE TABLE wp_links (link_id bigint(20) unsigned NOT NULL auto_increment, link_url varchar(255) NOT NULL default '', link_name varchar(255) NOT NULL default '', link_visible varchar(20) NOT NULL default 'Y', link_owner bigint(20) unsigned NOT NULL default '1', link_rating int(11) NOT NULL default '0',
    link_updated datetime NOT NULL default '${never}', link_notes mediumtext NOT NULL, PRIMARY KEY (link_id), KEY link_visible (link_visible))`,
  "CREATE TABLE wp_options (option_id bigint(20) unsigned NOT NULL auto_increment, option_name varchar(191) NOT NULL default '', option_value longtext NOT NULL, autoload varchar(20) NOT NULL default 'yes', PRIMARY KEY (option_id), UNIQUE KEY option_name (option_name), KEY autoload (autoload))",
  `CREATE TABLE wp_posts (ID bigint(20) unsigned NOT NULL auto_increment, post_author bigint(20) unsigned NOT NULL default '0', post_date datetime NOT NULL default '${never}', post_date_gmt datetime NOT NULL default '${never}', post_content longtext NOT NULL, post_title text NOT NULL, post_excerpt text NOT NULL,
    post_status varchar(20) NOT NULL default 'publish', comment_status varchar(20) NOT NULL default 'open', ping_status varchar(20) NOT NULL default 'open', post_password varchar(255) NOT NULL default '', post_name varchar(200) NOT NULL default '', to_ping text NOT NULL, pinged text NOT NULL,
    post_modified datetime NOT NULL default '${never}', post_modified_gmt datetime NOT NULL default '${never}', post_content_filtered longtext NOT NULL, post_parent bigint(20) unsigned NOT NULL default '0', guid varchar(255) NOT NULL default '', menu_order int(11) NOT NULL default '0',
    post_type varchar(20) NOT NULL default 'post', post_mime_type varchar(100) NOT NULL default '', comment_count bigint(20) NOT NULL default '0', PRIMARY KEY (ID), KEY post_name (post_name(191)), KEY type_status_date (post_type, post_status, post_date, ID), KEY post_parent (post_parent), KEY post_author (post_author))`,
  `CREATE TABLE wp_users (ID bigint(20) unsigned NOT NULL auto_increment, user_login varchar(60) NOT NULL default '', user_pass varchar(255) NOT NULL default '', user_nicename varchar(50) NOT NULL default '', user_email varchar(100) NOT NULL default '', user_url varchar(100) NOT NULL default '',
    user_registered datetime NOT NULL default '${never}', user_activation_key varchar(255) NOT NULL default '', user_status int(11) NOT NULL default '0', display_name varchar(250) NOT NULL default '', PRIMARY KEY (ID), KEY user_login_key (user_login), KEY user_nicename (user_nicename), KEY user_email (user_email))`,
];

/** Modes with which such a program does not want to run. */
const unwanted = ['NO_ZERO_DATE', 'ONLY_FULL_GROUP_BY', 'STRICT_TRANS_TABLES', 'STRICT_ALL_TABLES', 'TRADITIONAL', 'ANSI'];

export async function openWordpress(place, { makesTables = false, driver, logger }) {
  const { host, port, user, password, database } = place;
  const connection = driver.createConnection({ host, port, user, password, database, charset: 'UTF8MB4_GENERAL_CI', dateStrings: true, supportBigNumbers: true });
  const site = new Site(connection, logger);
  await site.begin();
  if (makesTables) for (const table of tables) await site.ask(`${table} DEFAULT CHARACTER SET utf8mb4 COLLATE ${collation}`);
  return { round: () => round(site), close: () => new Promise((resolve) => connection.end(() => resolve())) };
}

class Site {
  constructor(connection, logger) {
    this.connection = connection;
    this.logger = logger;
  }

  async begin() {
    await this.ask(`SET NAMES 'utf8mb4' COLLATE '${collation}'`);
    const [{ mode }] = await this.ask('SELECT @@SESSION.sql_mode AS mode');
    await this.ask(`SET SESSION sql_mode='${mode.split(',').filter((word) => !unwanted.includes(word)).join(',')}'`);
  }

  ask(text) {
    this.logger?.logQuery(text);
    return new Promise((resolve, reject) => this.connection.query(text, (error, answer) => (error ? reject(error) : resolve(answer))));
  }

  /** Values in quotes, numbers too. */
  async insert(table, values) {
    const quoted = Object.values(values).map((value) => (value === null ? 'NULL' : typeof value === 'number' ? `${value}` : `'${escaped(value)}'`));
    return (await this.ask(`INSERT INTO \`${table}\` (${Object.keys(values).map((name) => `\`${name}\``).join(', ')}) VALUES (${quoted.join(', ')})`)).insertId;
  }

  async update(table, values, where) {
    const list = (pairs, between) => Object.entries(pairs).map(([name, value]) => `\`${name}\` = ${typeof value === 'number' ? value : `'${escaped(value)}'`}`).join(between);
    return (await this.ask(`UPDATE \`${table}\` SET ${list(values, ', ')} WHERE ${list(where, ' AND ')}`)).affectedRows;
  }
}

const escaped = (text) => text.replaceAll('\\', '\\\\').replaceAll("'", "\\'").replaceAll('"', '\\"').replaceAll('\n', '\\n');
const post = (more) => ({ post_author: 1, post_date: '2024-03-01 10:00:00', post_date_gmt: '2024-03-01 09:00:00', post_content: '', post_content_filtered: '', post_title: '', post_excerpt: '', post_status: 'publish', post_type: 'post', comment_status: 'open', ping_status: 'open', post_password: '', post_name: '', to_ping: '', pinged: '', post_modified: '2024-03-01 10:00:00', post_modified_gmt: '2024-03-01 09:00:00', post_parent: 0, menu_order: 0, post_mime_type: '', guid: '', ...more });

async function round(site) {
  const steps = new Steps();
  const ids = {};
  for (const part of [start, options, users, posts, terms, comments, queries, counts, administration, end]) await steps.step(part.name, () => part(site, steps.step, ids));
  return steps.lines;
}

async function start(site, step) {
  await step('tables', async () => (await site.ask("SHOW TABLES LIKE 'wp\\_%'")).length);
  for (const table of ['termmeta', 'commentmeta', 'postmeta', 'usermeta', 'terms', 'term_taxonomy', 'term_relationships', 'comments', 'links', 'options', 'posts', 'users']) await step(`clean ${table}`, async () => void await site.ask(`DELETE FROM wp_${table}`));
  await step('columns', async () => (await site.ask('SHOW FULL COLUMNS FROM `wp_posts`')).map(({ Field, Type, Collation, Null, Default }) => [Field, Type.replace(/\(\d+\)/, ''), Collation, Null, Default]));
  await step('described', async () => (await site.ask('DESCRIBE wp_options')).map(({ Field, Key }) => [Field, Key]));
  await step('version', async () => (await site.ask('SELECT VERSION() AS v')).length);
}

async function options(site, step) {
  const add = (name, value, autoload) => site.ask(`INSERT INTO \`wp_options\` (\`option_name\`, \`option_value\`, \`autoload\`) VALUES ('${escaped(name)}', '${escaped(value)}', '${autoload}') ON DUPLICATE KEY UPDATE \`option_name\` = VALUES(\`option_name\`), \`option_value\` = VALUES(\`option_value\`), \`autoload\` = VALUES(\`autoload\`)`).then(({ affectedRows }) => affectedRows);
  await step('added', () => add('siteurl', 'http://example.org', 'on'));
  await step('added again', () => add('siteurl', 'https://example.org', 'on'));
  await step('added the same', () => add('siteurl', 'https://example.org', 'on'));
  await step('serialized', () => add('cron', 'a:2:{i:1709290000;a:1:{s:16:"wp_version_check";a:0:{}}s:7:"version";i:2;}', 'on'));
  await step('odd ones', () => add('odd', "it's \\ \"quoted\"\nnew line 漢字 😀 %d", 'auto'));
  await step('several', () => site.ask("INSERT INTO wp_options (option_name, option_value, autoload) VALUES ('blogname', 'A blog', 'yes'), ('posts_per_page', '10', 'yes'), ('big', 'x', 'off')").then(({ affectedRows }) => affectedRows));
  // Without ORDER BY, as it is sent: rows come as each database has them.
  await step('autoloaded', () => site.ask("SELECT option_name, option_value FROM wp_options WHERE autoload IN ( 'yes', 'on', 'auto-on', 'auto' )").then((rows) => rows.toSorted((a, b) => (a.option_name < b.option_name ? -1 : 1))));
  await step('one', () => site.ask("SELECT option_value FROM wp_options WHERE option_name = 'posts_per_page' LIMIT 1"));
  await step('none', () => site.ask("SELECT option_value FROM wp_options WHERE option_name = 'nothing' LIMIT 1"));
  await step('updated', () => site.update('wp_options', { option_value: '12' }, { option_name: 'posts_per_page' }));
  await step('transient', async () => [await add('_transient_timeout_feed', '1709290000', 'off'), await add('_transient_feed', 'x'.repeat(3000), 'off'), await add('_site_transient_timeout_theme', '9999999999', 'off'), await add('_site_transient_theme', 'kept', 'off')]);
  await step('expired', async () => (await site.ask("DELETE a, b FROM wp_options a, wp_options b WHERE a.option_name LIKE '\\_transient\\_%' AND a.option_name NOT LIKE '\\_transient\\_timeout\\_%' AND b.option_name = CONCAT( '_transient_timeout_', SUBSTRING( a.option_name, 12 ) ) AND b.option_value < 1709300000")).affectedRows);
  await step('left', () => site.ask("SELECT option_name FROM wp_options WHERE option_name LIKE '\\_site\\_transient\\_%' OR option_name LIKE '\\_transient%' ORDER BY option_name"));
  await step('prefixes', () => site.ask("SELECT COUNT(*) AS n FROM wp_options WHERE option_name LIKE 'post%' AND option_name NOT LIKE '%\\_page'"));
  await step('lock', () => site.ask("INSERT IGNORE INTO `wp_options` ( `option_name`, `option_value`, `autoload` ) VALUES ('auto_updater.lock', '1709290000', 'off') /* LOCK */").then(({ affectedRows }) => affectedRows));
  await step('lock again', () => site.ask("INSERT IGNORE INTO `wp_options` ( `option_name`, `option_value`, `autoload` ) VALUES ('auto_updater.lock', '1709290001', 'off') /* LOCK */").then(({ affectedRows }) => affectedRows));
  await step('deleted', () => site.ask("DELETE FROM `wp_options` WHERE `option_name` = 'auto_updater.lock'").then(({ affectedRows }) => affectedRows));
}

async function users(site, step, ids) {
  for (const [at, name] of ['admin', 'editor', 'Ümit'].entries()) await step(`user ${name}`, async () => {
    ids[name] = await site.insert('wp_users', { user_login: name, user_pass: '$P$hash', user_nicename: name.toLowerCase(), user_email: `${name}@example.org`, user_url: '', user_registered: at === 2 ? never : '2024-01-01 00:00:00', user_activation_key: '', display_name: name });
    await site.insert('wp_usermeta', { user_id: ids[name], meta_key: 'wp_capabilities', meta_value: `a:1:{s:13:"${['administrator', 'editor', 'subscriber'][at]}";b:1;}` });
    await site.insert('wp_usermeta', { user_id: ids[name], meta_key: 'wp_user_level', meta_value: `${[10, 7, 0][at]}` });
    await site.insert('wp_usermeta', { user_id: ids[name], meta_key: 'nickname', meta_value: null });
  });
  await step('login', () => site.ask("SELECT * FROM wp_users WHERE user_login = 'ADMIN' LIMIT 1"));
  await step('email', () => site.ask("SELECT * FROM wp_users WHERE user_email = 'umit@example.org' LIMIT 1"));
  await step('metas', () => site.ask(`SELECT user_id, meta_key, meta_value FROM wp_usermeta WHERE user_id IN (${ids.admin},${ids.editor}) ORDER BY umeta_id ASC`));
  await step('by role', () => site.ask("SELECT SQL_CALC_FOUND_ROWS wp_users.ID, wp_users.user_login FROM wp_users INNER JOIN wp_usermeta ON ( wp_users.ID = wp_usermeta.user_id ) WHERE 1=1 AND ( ( ( wp_usermeta.meta_key = 'wp_capabilities' AND wp_usermeta.meta_value LIKE '%\\\"administrator\\\"%' ) OR ( wp_usermeta.meta_key = 'wp_capabilities' AND wp_usermeta.meta_value LIKE '%\\\"editor\\\"%' ) ) ) ORDER BY user_login ASC LIMIT 0, 1"));
  await step('found', () => site.ask('SELECT FOUND_ROWS() AS found'));
  await step('searched', () => site.ask("SELECT wp_users.* FROM wp_users WHERE 1=1 AND (user_login LIKE '%dit%' OR user_url LIKE '%dit%' OR user_email LIKE '%dit%' OR user_nicename LIKE '%dit%' OR display_name LIKE '%dit%') ORDER BY display_name ASC LIMIT 0, 20"));
  await step('roles counted', () => site.ask("SELECT COUNT(NULLIF(`meta_value` LIKE '%\\\"administrator\\\"%', false)) AS a, COUNT(NULLIF(`meta_value` LIKE '%\\\"editor\\\"%', false)) AS e, COUNT(NULLIF(`meta_value` = 'a:0:{}', false)) AS nothing, COUNT(*) AS n FROM wp_usermeta INNER JOIN wp_users ON user_id = ID WHERE meta_key = 'wp_capabilities'"));
  await step('key', () => site.update('wp_users', { user_activation_key: '1709290000:$P$key' }, { user_login: 'editor' }));
  await step('registered', () => site.ask("SELECT user_login, user_registered FROM wp_users WHERE user_registered > '0000-00-00 00:00:00' ORDER BY user_registered DESC, user_login"));
  await step('by date', () => site.ask('SELECT user_login, user_registered FROM wp_users ORDER BY user_registered ASC, user_login DESC'));
  await step('by field', () => site.ask(`SELECT user_login FROM wp_users WHERE ID IN (${ids.admin},${ids.editor},${ids['Ümit']}) ORDER BY FIELD( wp_users.ID, ${ids['Ümit']},${ids.admin},${ids.editor} )`));
}

async function posts(site, step, ids) {
  const add = async (name, values) => { ids[name] = await site.insert('wp_posts', post({ post_author: ids.admin, post_name: name, post_title: name, ...values })); };
  await step('draft', () => add('draft', { post_status: 'auto-draft', post_date_gmt: never, post_modified_gmt: never, post_title: 'Auto Draft' }));
  await step('defaults', async () => { await site.ask("INSERT INTO wp_posts (post_content, post_title, post_excerpt, to_ping, pinged, post_content_filtered) VALUES ('', 'bare', '', '', '', '')"); return site.ask("SELECT * FROM wp_posts WHERE post_title = 'bare'"); });
  for (let at = 0; at < 12; at += 1) await step(`post ${at}`, () => add(`hello-${at}`, { post_title: `Hello ${at} ${at % 3 === 0 ? 'World' : 'Wörld'}`, post_content: `<!-- wp:paragraph --><p>It's "text" ${'lorem ipsum '.repeat(at)}</p>`, post_date: `2024-0${1 + (at % 4)}-0${1 + (at % 9)} 10:0${at % 10}:00`, post_status: at === 11 ? 'private' : at === 10 ? 'future' : 'publish', guid: `https://example.org/?p=${at}`, menu_order: 12 - at }));
  await step('page', () => add('about', { post_type: 'page', post_title: 'About' }));
  await step('child', () => add('team', { post_type: 'page', post_title: 'Team', post_parent: ids.about, menu_order: 2 }));
  await step('picture', () => add('picture', { post_type: 'attachment', post_status: 'inherit', post_mime_type: 'image/jpeg', post_parent: ids['hello-1'] }));
  await step('revision', () => add('rev', { post_type: 'revision', post_status: 'inherit', post_parent: ids['hello-1'], post_name: `x-revision-v1` }));
  await step('guid', () => site.update('wp_posts', { guid: `https://example.org/?p=about` }, { ID: ids.about }));
  for (const [name, key, value] of [['hello-1', '_edit_lock', '1709290000:1'], ['hello-1', 'price', '9.5'], ['hello-2', 'price', '10'], ['hello-3', 'price', '100'], ['hello-4', 'price', 'none'], ['hello-1', 'colour', 'Red'], ['hello-2', 'colour', 'red'], ['hello-3', 'colour', 'blue'], ['hello-2', 'on', '2024-03-05'], ['hello-3', 'on', '2024-01-05'], ['picture', '_wp_attached_file', '2024/03/picture.jpg'], ['hello-5', '_thumbnail_id', '7']]) await step(`meta ${name} ${key}`, () => site.insert('wp_postmeta', { post_id: ids[name], meta_key: key, meta_value: value }).then(() => undefined));
  await step('one', () => site.ask(`SELECT * FROM wp_posts WHERE ID = ${ids['hello-1']} LIMIT 1`));
  await step('metas', () => site.ask(`SELECT post_id, meta_key, meta_value FROM wp_postmeta WHERE post_id IN (${ids['hello-1']},${ids['hello-2']}) ORDER BY meta_id ASC`));
  await step('by path', () => site.ask("SELECT ID, post_name, post_parent, post_type FROM wp_posts WHERE post_name IN ('about','team') AND post_type IN ('page','attachment') ORDER BY post_name"));
  await step('slug is taken', () => site.ask(`SELECT post_name FROM wp_posts WHERE post_name = 'hello-1' AND post_type = 'post' AND ID != ${ids['hello-2']} LIMIT 1`));
  await step('published', () => site.update('wp_posts', { post_status: 'publish', post_date: '2024-05-01 08:00:00', post_date_gmt: '2024-05-01 07:00:00', post_title: 'Was a draft', post_content: "new 'content'" }, { ID: ids.draft }));
  await step('back to draft', () => site.ask(`UPDATE wp_posts SET post_status = 'draft', post_date_gmt = '${never}' WHERE ID = '${ids.draft}'`).then(({ affectedRows }) => affectedRows));
  await step('zero dates', () => site.ask(`SELECT post_title, post_date_gmt FROM wp_posts WHERE post_date_gmt = '${never}' ORDER BY post_title`));
  await step('meta updated', () => site.ask(`UPDATE \`wp_postmeta\` SET \`meta_value\` = '1709290500:1' WHERE \`post_id\` = ${ids['hello-1']} AND \`meta_key\` = '_edit_lock'`).then(({ affectedRows }) => affectedRows));
}

async function terms(site, step, ids) {
  for (const [name, slug, taxonomy, parent] of [['Uncategorized', 'uncategorized', 'category', ''], ['News', 'news', 'category', ''], ['Local news', 'local-news', 'category', 'news'], ['Ärger', 'aerger', 'post_tag', ''], ['sql', 'sql', 'post_tag', '']]) await step(`term ${slug}`, async () => {
    ids[`term ${slug}`] = await site.insert('wp_terms', { name, slug, term_group: 0 });
    ids[slug] = await site.insert('wp_term_taxonomy', { term_id: ids[`term ${slug}`], taxonomy, description: '', parent: parent === '' ? 0 : ids[`term ${parent}`], count: 0 });
  });
  await step('related', async () => { for (let at = 0; at < 12; at += 1) await site.ask(`INSERT INTO wp_term_relationships (object_id, term_taxonomy_id, term_order) VALUES (${ids[`hello-${at}`]}, ${ids[['uncategorized', 'news', 'local-news'][at % 3]]}, ${at % 3}) ON DUPLICATE KEY UPDATE term_order = VALUES(term_order)`); });
  await step('tagged', () => site.ask(`INSERT INTO wp_term_relationships (object_id, term_taxonomy_id, term_order) VALUES (${ids['hello-1']}, ${ids.sql}, 1), (${ids['hello-1']}, ${ids.aerger}, 2), (${ids['hello-2']}, ${ids.sql}, 1), (${ids['hello-1']}, ${ids.news}, 0) ON DUPLICATE KEY UPDATE term_order = VALUES(term_order)`).then(({ affectedRows }) => affectedRows));
  await step('counted', async () => { for (const slug of ['uncategorized', 'news', 'local-news', 'sql', 'aerger']) { const [{ n }] = await site.ask(`SELECT COUNT(*) AS n FROM wp_term_relationships, wp_posts WHERE wp_posts.ID = wp_term_relationships.object_id AND post_status IN ('publish') AND post_type IN ('post') AND term_taxonomy_id = ${ids[slug]}`); await site.update('wp_term_taxonomy', { count: n }, { term_taxonomy_id: ids[slug] }); } });
  await step('categories', () => site.ask("SELECT t.*, tt.* FROM wp_terms AS t INNER JOIN wp_term_taxonomy AS tt ON t.term_id = tt.term_id WHERE tt.taxonomy IN ('category') AND tt.count > 0 ORDER BY t.name ASC"));
  await step('of posts', () => site.ask(`SELECT DISTINCT t.term_id, tr.object_id, t.name FROM wp_terms AS t LEFT JOIN wp_termmeta ON ( t.term_id = wp_termmeta.term_id AND wp_termmeta.meta_key='order') INNER JOIN wp_term_taxonomy AS tt ON t.term_id = tt.term_id INNER JOIN wp_term_relationships AS tr ON tr.term_taxonomy_id = tt.term_taxonomy_id WHERE tt.taxonomy IN ('category', 'post_tag') AND tr.object_id IN (${ids['hello-1']}, ${ids['hello-2']}) ORDER BY t.name ASC`));
  await step('cloud', () => site.ask("SELECT t.name, tt.count FROM wp_terms AS t INNER JOIN wp_term_taxonomy AS tt ON t.term_id = tt.term_id WHERE tt.taxonomy IN ('post_tag') AND tt.count > 0 ORDER BY tt.count DESC, t.name LIMIT 45"));
  await step('exists', () => site.ask("SELECT tt.term_id, tt.term_taxonomy_id FROM wp_terms AS t INNER JOIN wp_term_taxonomy as tt ON tt.term_id = t.term_id WHERE t.slug = 'NEWS' AND tt.taxonomy = 'category' ORDER BY t.term_id ASC LIMIT 1"));
  await step('children', () => site.ask(`SELECT term_id, taxonomy FROM wp_term_taxonomy WHERE parent = ${ids['term news']}`));
}

async function comments(site, step, ids) {
  for (let at = 0; at < 5; at += 1) await step(`comment ${at}`, async () => { ids[`comment ${at}`] = await site.insert('wp_comments', { comment_post_ID: ids['hello-1'], comment_author: `Reader ${at}`, comment_author_email: `r${at}@example.org`, comment_author_url: '', comment_author_IP: '127.0.0.1', comment_date: `2024-03-0${at + 1} 12:00:00`, comment_date_gmt: at === 4 ? never : `2024-03-0${at + 1} 11:00:00`, comment_content: `I'd say ${'so '.repeat(at)}`, comment_karma: 0, comment_approved: ['1', '0', 'spam', '1', '1'][at], comment_agent: 'Mozilla', comment_type: 'comment', comment_parent: at === 3 ? ids['comment 0'] : 0, user_id: at === 0 ? ids.admin : 0 }); });
  await step('duplicate', () => site.ask(`SELECT comment_ID FROM wp_comments WHERE comment_post_ID = ${ids['hello-1']} AND comment_parent = '0' AND comment_approved != 'trash' AND ( comment_author = 'Reader 1' OR comment_author_email = 'r1@example.org' ) AND comment_content = 'I\\'d say so ' LIMIT 1`));
  await step('flood', () => site.ask("SELECT comment_date_gmt FROM wp_comments WHERE comment_date_gmt >= '2024-03-02 00:00:00' AND ( user_id = 0 OR comment_author_email = 'r1@example.org' ) ORDER BY comment_date_gmt DESC LIMIT 1"));
  await step('approved', () => site.ask(`SELECT SQL_CALC_FOUND_ROWS wp_comments.comment_ID FROM wp_comments WHERE ( ( comment_approved = '1' ) OR ( comment_author_email = 'r1@example.org' AND comment_approved = '0' ) ) AND comment_post_ID = ${ids['hello-1']} AND comment_parent = 0 ORDER BY wp_comments.comment_date_gmt ASC, wp_comments.comment_ID ASC LIMIT 0,2`));
  await step('found', () => site.ask('SELECT FOUND_ROWS()'));
  await step('loaded', () => site.ask(`SELECT wp_comments.* FROM wp_comments WHERE comment_ID IN (${ids['comment 0']},${ids['comment 4']})`));
  await step('by state', () => site.ask('SELECT comment_approved, COUNT( * ) AS total FROM wp_comments GROUP BY comment_approved ORDER BY comment_approved'));
  await step('pending', () => site.ask(`SELECT comment_post_ID, COUNT(comment_ID) as num_comments FROM wp_comments WHERE comment_post_ID IN ( '${ids['hello-1']}' ) AND comment_approved = '0' GROUP BY comment_post_ID`));
  await step('count', async () => { const [{ n }] = await site.ask(`SELECT COUNT(*) AS n FROM wp_comments WHERE comment_post_ID = ${ids['hello-1']} AND comment_approved = '1'`); return [n, await site.update('wp_posts', { comment_count: n }, { ID: ids['hello-1'] })]; });
  await step('recent', () => site.ask("SELECT c.comment_author, p.post_title FROM wp_comments c INNER JOIN wp_posts p ON p.ID = c.comment_post_ID WHERE comment_approved = '1' AND p.post_status IN ('publish') ORDER BY c.comment_date_gmt DESC LIMIT 5"));
  await step('spam away', async () => (await site.ask("DELETE FROM wp_comments WHERE comment_approved = 'spam' AND comment_date_gmt < '2024-04-01 00:00:00'")).affectedRows);
  await step('orphaned meta', async () => (await site.ask('DELETE FROM wp_commentmeta WHERE comment_id NOT IN (SELECT comment_ID FROM wp_comments)')).affectedRows);
}

async function queries(site, step, ids) {
  await step('home', () => site.ask("SELECT SQL_CALC_FOUND_ROWS wp_posts.ID, wp_posts.post_title FROM wp_posts WHERE 1=1 AND ((wp_posts.post_type = 'post' AND (wp_posts.post_status = 'publish' OR wp_posts.post_status = 'private'))) ORDER BY wp_posts.post_date DESC, ID LIMIT 0, 5"));
  await step('home found', () => site.ask('SELECT FOUND_ROWS() AS found'));
  await step('second page', () => site.ask("SELECT SQL_CALC_FOUND_ROWS wp_posts.ID FROM wp_posts WHERE 1=1 AND wp_posts.post_type = 'post' AND ((wp_posts.post_status = 'publish')) ORDER BY wp_posts.post_date DESC, wp_posts.ID DESC LIMIT 5, 5"));
  await step('by ids', () => site.ask(`SELECT wp_posts.* FROM wp_posts WHERE ID IN (${ids['hello-3']},${ids['hello-1']}) ORDER BY FIELD(ID,${ids['hello-3']},${ids['hello-1']})`));
  await step('in a category', () => site.ask(`SELECT SQL_CALC_FOUND_ROWS wp_posts.ID, post_title FROM wp_posts LEFT JOIN wp_term_relationships ON (wp_posts.ID = wp_term_relationships.object_id) WHERE 1=1 AND ( wp_term_relationships.term_taxonomy_id IN (${ids.news},${ids['local-news']}) ) AND ((wp_posts.post_type = 'post' AND (wp_posts.post_status = 'publish'))) GROUP BY wp_posts.ID ORDER BY wp_posts.post_date DESC, wp_posts.ID LIMIT 0, 10`));
  await step('in it found', () => site.ask('SELECT FOUND_ROWS() AS found'));
  await step('not in one', () => site.ask(`SELECT wp_posts.post_title FROM wp_posts WHERE 1=1 AND ( wp_posts.ID NOT IN ( SELECT object_id FROM wp_term_relationships WHERE term_taxonomy_id IN (${ids.news}) ) ) AND wp_posts.post_type = 'post' AND wp_posts.post_status = 'publish' ORDER BY wp_posts.post_title ASC LIMIT 0, 5`));
  await step('meta equal', () => site.ask("SELECT wp_posts.ID, post_title FROM wp_posts INNER JOIN wp_postmeta ON ( wp_posts.ID = wp_postmeta.post_id ) WHERE 1=1 AND ( ( wp_postmeta.meta_key = 'colour' AND wp_postmeta.meta_value = 'red' ) ) AND wp_posts.post_type = 'post' AND (wp_posts.post_status = 'publish') GROUP BY wp_posts.ID ORDER BY wp_posts.post_title LIMIT 0, 10"));
  await step('meta as a number', () => site.ask("SELECT wp_posts.post_title FROM wp_posts INNER JOIN wp_postmeta ON ( wp_posts.ID = wp_postmeta.post_id ) WHERE 1=1 AND ( ( wp_postmeta.meta_key = 'price' AND CAST(wp_postmeta.meta_value AS SIGNED) >= '10' ) ) AND wp_posts.post_type = 'post' GROUP BY wp_posts.ID ORDER BY CAST(wp_postmeta.meta_value AS SIGNED) DESC LIMIT 0, 10"));
  await step('meta as a decimal', () => site.ask("SELECT wp_posts.post_title FROM wp_posts INNER JOIN wp_postmeta ON ( wp_posts.ID = wp_postmeta.post_id ) WHERE wp_postmeta.meta_key = 'price' AND CAST(wp_postmeta.meta_value AS DECIMAL(10,2)) BETWEEN '9.4' AND '20' ORDER BY wp_posts.post_title"));
  await step('ordered by a meta', () => site.ask("SELECT wp_posts.post_title, wp_postmeta.meta_value FROM wp_posts INNER JOIN wp_postmeta ON ( wp_posts.ID = wp_postmeta.post_id ) WHERE wp_postmeta.meta_key = 'price' AND wp_postmeta.meta_value <> 'none' ORDER BY wp_postmeta.meta_value+0 ASC LIMIT 0, 10"));
  await step('meta as a date', () => site.ask("SELECT wp_posts.post_title FROM wp_posts INNER JOIN wp_postmeta ON ( wp_posts.ID = wp_postmeta.post_id ) WHERE wp_postmeta.meta_key = 'on' AND CAST(wp_postmeta.meta_value AS DATE) > '2024-02-01' ORDER BY wp_posts.post_title"));
  await step('without a meta', () => site.ask("SELECT wp_posts.post_title FROM wp_posts LEFT JOIN wp_postmeta ON ( wp_posts.ID = wp_postmeta.post_id AND wp_postmeta.meta_key = 'price' ) WHERE 1=1 AND ( wp_postmeta.post_id IS NULL ) AND wp_posts.post_type = 'post' AND wp_posts.post_status = 'publish' GROUP BY wp_posts.ID ORDER BY wp_posts.post_title ASC LIMIT 0, 10"));
  await step('two metas', () => site.ask("SELECT wp_posts.post_title FROM wp_posts INNER JOIN wp_postmeta ON ( wp_posts.ID = wp_postmeta.post_id ) INNER JOIN wp_postmeta AS mt1 ON ( wp_posts.ID = mt1.post_id ) WHERE 1=1 AND ( ( wp_postmeta.meta_key = 'colour' AND wp_postmeta.meta_value IN ('red','blue') ) AND ( mt1.meta_key = 'price' AND mt1.meta_value NOT LIKE '9%' ) ) AND wp_posts.post_type = 'post' GROUP BY wp_posts.ID ORDER BY mt1.meta_value DESC LIMIT 0, 10"));
  await step('meta exists', () => site.ask("SELECT DISTINCT meta_key FROM wp_postmeta WHERE meta_key NOT BETWEEN '_' AND '_z' HAVING meta_key NOT LIKE '\\_%' ORDER BY meta_key LIMIT 30"));
  await step('search', () => site.ask("SELECT SQL_CALC_FOUND_ROWS wp_posts.ID, post_title FROM wp_posts WHERE 1=1 AND (((wp_posts.post_title LIKE '%world%') OR (wp_posts.post_excerpt LIKE '%world%') OR (wp_posts.post_content LIKE '%world%')) AND ((wp_posts.post_title LIKE '%hello%') OR (wp_posts.post_content LIKE '%hello%'))) AND (wp_posts.post_password = '') AND ((wp_posts.post_type = 'post' AND wp_posts.post_status = 'publish')) ORDER BY (CASE WHEN wp_posts.post_title LIKE '%world hello%' THEN 1 WHEN wp_posts.post_title LIKE '%hello%' AND wp_posts.post_title LIKE '%world%' THEN 2 WHEN wp_posts.post_content LIKE '%world%' THEN 5 ELSE 6 END), wp_posts.post_date DESC, wp_posts.ID LIMIT 0, 10"));
  await step('title first', () => site.ask("SELECT post_title FROM wp_posts WHERE post_type = 'post' AND post_status = 'publish' ORDER BY wp_posts.post_title LIKE '%World%' DESC, wp_posts.post_date DESC, ID LIMIT 0, 4"));
  await step('archives', () => site.ask("SELECT YEAR(post_date) AS `year`, MONTH(post_date) AS `month`, count(ID) as posts FROM wp_posts WHERE post_type = 'post' AND post_status = 'publish' GROUP BY YEAR(post_date), MONTH(post_date) ORDER BY post_date DESC"));
  await step('month', () => site.ask("SELECT post_title FROM wp_posts WHERE 1=1 AND ( ( YEAR( wp_posts.post_date ) = 2024 AND MONTH( wp_posts.post_date ) = 3 ) ) AND wp_posts.post_type = 'post' AND wp_posts.post_status = 'publish' ORDER BY wp_posts.post_date DESC, ID"));
  await step('days', () => site.ask("SELECT DISTINCT DAYOFMONTH(post_date) AS day FROM wp_posts WHERE post_date >= '2024-03-01 00:00:00' AND post_type = 'post' AND post_status = 'publish' AND post_date <= '2024-03-31 23:59:59' ORDER BY day"));
  await step('months of media', () => site.ask("SELECT DISTINCT YEAR( post_date ) AS year, MONTH( post_date ) AS month FROM wp_posts WHERE post_type = 'attachment' ORDER BY post_date DESC"));
  await step('between dates', () => site.ask("SELECT post_title FROM wp_posts WHERE ( wp_posts.post_date > '2024-02-01 00:00:00' AND wp_posts.post_date < '2024-03-15 23:59:59' ) AND post_type = 'post' ORDER BY post_date ASC, ID"));
  await step('next', () => site.ask("SELECT p.ID, p.post_title FROM wp_posts AS p WHERE p.post_date > '2024-03-03 10:02:00' AND p.post_type = 'post' AND ( p.post_status = 'publish' OR p.post_status = 'private' ) ORDER BY p.post_date ASC LIMIT 1"));
  await step('sticky', () => site.ask(`SELECT wp_posts.post_title FROM wp_posts WHERE 1=1 AND wp_posts.ID IN (${ids['hello-2']}) AND wp_posts.ID NOT IN (0) AND wp_posts.post_type = 'post'`));
  await step('pages', () => site.ask("SELECT post_title, post_parent > 0 AS has_parent FROM wp_posts WHERE (post_type = 'page' AND post_status = 'publish') ORDER BY wp_posts.menu_order, wp_posts.post_title ASC"));
  await step('menu', () => site.ask("SELECT post_title FROM wp_posts WHERE post_type = 'post' ORDER BY wp_posts.menu_order ASC, wp_posts.post_date DESC LIMIT 3"));
  await step('by comments', () => site.ask("SELECT post_title, comment_count FROM wp_posts WHERE post_type = 'post' ORDER BY comment_count DESC, post_title ASC LIMIT 3"));
  await step('attachments', () => site.ask(`SELECT wp_posts.post_title, m.meta_value FROM wp_posts LEFT JOIN wp_postmeta m ON m.post_id = wp_posts.ID AND m.meta_key = '_wp_attached_file' WHERE post_mime_type LIKE 'image/%' AND post_parent = ${ids['hello-1']} AND post_status = 'inherit'`));
}

async function counts(site, step, ids) {
  await step('by state', () => site.ask("SELECT post_status, COUNT( * ) AS num_posts FROM wp_posts WHERE post_type = 'post' GROUP BY post_status ORDER BY post_status"));
  await step('by state and author', () => site.ask(`SELECT post_status, COUNT( * ) AS num_posts FROM wp_posts WHERE post_type = 'post' AND (post_status != 'private' OR ( post_author = ${ids.editor} AND post_status = 'private' )) GROUP BY post_status`).then((rows) => rows.map((row) => JSON.stringify(row)).sort()));
  await step('by kind', () => site.ask("SELECT post_mime_type, COUNT( * ) AS num_posts FROM wp_posts WHERE post_type = 'attachment' AND post_status != 'trash' GROUP BY post_mime_type"));
  await step('of authors', () => site.ask(`SELECT post_author, COUNT(*) AS n FROM wp_posts WHERE ( ( post_type = 'post' AND ( post_status = 'publish' ) ) ) AND post_author IN (${ids.admin},${ids.editor}) GROUP BY post_author`));
  await step('last modified', () => site.ask("SELECT MAX(post_modified_gmt) AS latest, MIN(post_date_gmt) AS first FROM wp_posts WHERE post_status = 'publish' AND post_type IN ('post', 'page', 'attachment')"));
  await step('earliest', () => site.ask('SELECT MIN(post_date_gmt) AS first, MAX(post_date_gmt) AS last, COUNT(DISTINCT post_date_gmt) AS n FROM wp_posts'));
  await step('meta keys', () => site.ask("SELECT meta_key, COUNT(*) AS n, MAX(meta_id) > 0 AS has FROM wp_postmeta GROUP BY meta_key HAVING n > 1 ORDER BY meta_key"));
  await step('sizes', () => site.ask('SELECT SUM(LENGTH(option_value)) AS size, COUNT(*) AS n FROM wp_options WHERE autoload IN (\'yes\',\'on\',\'auto\')'));
}

async function administration(site, step, ids) {
  await step('trashed', async () => [await site.update('wp_posts', { post_status: 'trash', post_name: 'hello-9__trashed' }, { ID: ids['hello-9'] }), await site.insert('wp_postmeta', { post_id: ids['hello-9'], meta_key: '_wp_trash_meta_status', meta_value: 'publish' }).then((id) => id > 0)]);
  await step('old drafts', async () => (await site.ask("SELECT ID FROM wp_posts WHERE post_status = 'auto-draft' AND DATE_SUB( NOW(), INTERVAL 7 DAY ) > post_date")).length);
  await step('scheduled', async () => (await site.ask("SELECT ID FROM wp_posts WHERE post_status = 'future' AND post_date_gmt < UTC_TIMESTAMP()")).length);
  await step('replaced', async () => (await site.ask("UPDATE wp_posts SET post_content = REPLACE(post_content, 'lorem', 'LOREM'), post_excerpt = LEFT(post_content, 10) WHERE post_content LIKE '%lorem%'")).affectedRows);
  await step('order', async () => (await site.ask(`UPDATE wp_posts SET menu_order = menu_order + 1 WHERE menu_order >= 5 AND post_type = 'post' AND ID <> ${ids['hello-1']}`)).affectedRows);
  await step('author', async () => (await site.ask(`UPDATE wp_posts SET post_author = ${ids.editor} WHERE post_author = ${ids.admin} AND post_status = 'future'`)).affectedRows);
  await step('by join', async () => (await site.ask("UPDATE wp_posts p INNER JOIN wp_postmeta m ON m.post_id = p.ID AND m.meta_key = 'colour' SET p.menu_order = 77 WHERE m.meta_value = 'blue'")).affectedRows);
  await step('zeroed', async () => (await site.ask(`UPDATE wp_posts SET post_date_gmt = '${never}' WHERE post_status = 'private'`)).affectedRows);
  await step('kept small', () => site.ask('SELECT post_title, LEFT(post_content, 20) AS head, menu_order, post_date_gmt FROM wp_posts ORDER BY post_title, ID'));
  await step('link', () => site.insert('wp_links', { link_url: 'https://example.net', link_name: 'Net', link_notes: '', link_rating: '9' }).then((id) => id > 0));
  await step('links', () => site.ask("SELECT link_url, link_updated, link_rating FROM wp_links WHERE link_visible = 'Y' AND link_updated < '2024-01-01'"));
  await step('checked', async () => (await site.ask('SELECT 1')).length);
  await step('status', async () => (await site.ask("SHOW TABLE STATUS LIKE 'wp_posts'")).length);
  await step('indexes', async () => [...new Set((await site.ask('SHOW INDEX FROM wp_posts')).map(({ Key_name }) => Key_name))].sort());
  await step('variable', async () => (await site.ask("SHOW VARIABLES LIKE 'max_allowed_packet'")).length);
  await step('transaction', async () => { await site.ask('START TRANSACTION'); await site.ask("UPDATE wp_options SET option_value = 'within' WHERE option_name = 'big'"); await site.ask('ROLLBACK'); return site.ask("SELECT option_value FROM wp_options WHERE option_name = 'big'"); });
}

async function end(site, step, ids) {
  await step('deleted', async () => [(await site.ask(`DELETE FROM wp_postmeta WHERE post_id = ${ids['hello-9']}`)).affectedRows, (await site.ask(`DELETE FROM wp_term_relationships WHERE object_id = ${ids['hello-9']} AND term_taxonomy_id IN (${ids.uncategorized})`)).affectedRows, (await site.ask(`DELETE FROM \`wp_posts\` WHERE \`ID\` = ${ids['hello-9']}`)).affectedRows]);
  await step('old metas', async () => (await site.ask('DELETE pm FROM wp_postmeta pm LEFT JOIN wp_posts wp ON wp.ID = pm.post_id WHERE wp.ID IS NULL')).affectedRows);
  await step('revisions', async () => (await site.ask("DELETE FROM wp_posts WHERE post_type = 'revision' LIMIT 10")).affectedRows);
  await step('left', async () => { const left = {}; for (const table of ['posts', 'postmeta', 'options', 'users', 'usermeta', 'terms', 'term_taxonomy', 'term_relationships', 'comments', 'links']) left[table] = (await site.ask(`SELECT COUNT(*) AS n FROM wp_${table}`))[0].n; return left; });
}
