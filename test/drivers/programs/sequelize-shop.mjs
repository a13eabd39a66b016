/** A shop's application on Sequelize: its tables, and one round of what it does. A round's lines say what was answered. */
import { DataTypes, Op, Sequelize, Transaction } from 'sequelize';
import { Steps } from './application.mjs';

const { INTEGER, BIGINT, STRING, TEXT, DECIMAL, DOUBLE, BOOLEAN, DATE, DATEONLY, TIME, ENUM, JSON: JSON_TYPE, BLOB, UUID, UUIDV4, SMALLINT, VIRTUAL } = DataTypes;

function define(sequelize) {
  const model = (name, attributes, options = {}) => sequelize.define(name, attributes, { tableName: name.toLowerCase(), ...options });
  const Customer = model('Customer', {
    email: { type: STRING(160), allowNull: false, unique: true, validate: { isEmail: true } }, name: { type: STRING(80), allowNull: false, set(value) { this.setDataValue('name', value.trim()); } },
    kind: { type: ENUM('plain', 'gold', 'staff'), allowNull: false, defaultValue: 'plain' }, credit: { type: DECIMAL(12, 2), allowNull: false, defaultValue: 0 }, born: DATEONLY, calls: TIME, preferences: JSON_TYPE, isActive: { type: BOOLEAN, allowNull: false, defaultValue: true },
    shout: { type: VIRTUAL, get() { return this.name?.toUpperCase(); } },
  }, { paranoid: true, version: true, indexes: [{ fields: ['kind', 'isActive'] }], scopes: { gold: { where: { kind: 'gold' } }, since(day) { return { where: { born: { [Op.gte]: day } } }; } } });
  const Product = model('Product', {
    sku: { type: STRING(40), allowNull: false, unique: true }, title: { type: STRING(200), allowNull: false }, text: TEXT('long'), price: { type: DECIMAL(10, 2), allowNull: false }, weight: DOUBLE, stock: { type: INTEGER.UNSIGNED, allowNull: false, defaultValue: 0 },
    picture: BLOB, seen: { type: BIGINT, allowNull: false, defaultValue: 0 }, onSale: { type: BOOLEAN, defaultValue: false }, madeAt: DATE,
  });
  const Category = model('Category', { name: { type: STRING(60), allowNull: false, unique: true }, rank: SMALLINT }, { timestamps: false });
  const Order = model('Order', { code: { type: UUID, defaultValue: UUIDV4, allowNull: false }, state: { type: ENUM('open', 'paid', 'sent'), allowNull: false, defaultValue: 'open' }, placedAt: { type: DATE(6), allowNull: false }, note: STRING }, { tableName: 'orders' });
  const Line = model('Line', { amount: { type: INTEGER, allowNull: false, validate: { min: 1 } }, price: { type: DECIMAL(10, 2), allowNull: false } }, { tableName: 'order_line' });
  // What foreign keys do by themselves MariaDB does not log.
  const kept = { onDelete: 'RESTRICT', onUpdate: 'RESTRICT' };
  Product.belongsToMany(Category, { through: 'product_category', as: 'categories', timestamps: false, ...kept });
  Category.belongsToMany(Product, { through: 'product_category', as: 'products', timestamps: false, ...kept });
  Category.belongsTo(Category, { as: 'parent', foreignKey: 'parentId', ...kept });
  Category.hasMany(Category, { as: 'children', foreignKey: 'parentId', ...kept });
  Customer.hasMany(Order, { as: 'orders', foreignKey: { name: 'customerId', allowNull: false }, ...kept });
  Order.belongsTo(Customer, { as: 'customer', foreignKey: { name: 'customerId', allowNull: false }, ...kept });
  Order.hasMany(Line, { as: 'lines', foreignKey: { name: 'orderId', allowNull: false }, ...kept });
  Line.belongsTo(Order, { as: 'order', foreignKey: { name: 'orderId', allowNull: false }, ...kept });
  Line.belongsTo(Product, { as: 'product', foreignKey: { name: 'productId', allowNull: false }, ...kept });
  Product.hasMany(Line, { as: 'lines', foreignKey: { name: 'productId', allowNull: false }, ...kept });
  return { Customer, Product, Category, Order, Line };
}

/** `place`: host, port, user, password, database. */
export async function openSequelize(place, { isMariadb, makesTables = false, driver, logger }) {
  const { host, port, user, password, database } = place;
  const sequelize = new Sequelize(database, user, password ?? '', {
    host, port, dialect: 'mysql', dialectModule: driver, timezone: '+00:00', pool: { max: 4, min: 0 }, logging: logger === undefined ? false : (text) => logger.logQuery(text), define: { charset: 'utf8mb4', collate: isMariadb ? 'utf8mb4_unicode_ci' : 'utf8mb4_0900_ai_ci' },
  });
  const models = define(sequelize);
  await sequelize.authenticate();
  if (makesTables) await sequelize.sync();
  return { round: () => round(sequelize, models), close: () => sequelize.close() };
}

async function round(sequelize, models) {
  const steps = new Steps();
  for (const part of [clean, write, find, associate, change, transact, remove]) await steps.step(part.name, () => part(models, steps, sequelize));
  return steps.lines;
}

async function clean({ Line, Order, Category, Product, Customer }, { step }, sequelize) {
  await step('clean links', () => sequelize.models.product_category.destroy({ where: {} }));
  await step('clean children', () => Category.update({ parentId: null }, { where: { parentId: { [Op.ne]: null } } }).then(() => undefined));
  for (const model of [Line, Order, Category, Product, Customer]) await step(`clean ${model.name}`, () => model.destroy({ where: {}, force: true }).then(() => undefined));
}

async function write({ Customer, Product, Category, Order }, { step }) {
  await step('create', () => Customer.create({ email: 'ann@example.com', name: ' Ann Ämter ', kind: 'gold', credit: '100.50', born: '1990-02-28', calls: '08:15:00', preferences: { theme: 'dark', list: [1, 2.5, null], text: "it's \\ \"x\" 漢字 😀" } }));
  await step('many', () => Customer.bulkCreate(['bob', 'cem', 'dee', 'eva'].map((name, at) => ({ email: `${name}@example.com`, name, kind: at === 1 ? 'staff' : 'plain', credit: at * 12.25, born: `19${80 + at}-0${at + 1}-15`, isActive: at !== 2 })), { validate: true }));
  await step('products', async () => (await Product.bulkCreate(Array.from({ length: 12 }, (_, at) => ({ sku: `SKU-${String(at).padStart(3, '0')}`, title: `Thing ${at} ${at % 2 === 0 ? '100%' : 'a_b'}`, text: at % 4 === 0 ? null : 'long '.repeat(at), price: `${at}.99`, weight: at / 8, stock: at * 3, picture: at === 1 ? Buffer.from([0, 127, 255]) : null, seen: at === 2 ? '9007199254740991' : at, onSale: at % 3 === 0, madeAt: at % 5 === 0 ? null : new Date(Date.UTC(2024, at, 1, at)) })))).length);
  await step('nested', () => Category.create({ name: 'all', rank: 1, children: [{ name: 'books', rank: 2 }, { name: 'Bücher', rank: 3 }, { name: 'toys' }] }, { include: [{ model: Category, as: 'children' }] }).then(({ name, children }) => [name, children.length]));
  const products = await Product.findAll({ order: ['sku'] });
  const categories = Object.fromEntries((await Category.findAll()).map((each) => [each.name, each]));
  await step('set categories', async () => {
    for (const [at, product] of products.entries()) await product.setCategories(at % 2 === 0 ? [categories.all, categories.books] : [categories.toys]);
    return products[2].countCategories();
  });
  await step('orders', async () => {
    const customers = await Customer.findAll({ order: ['email'] });
    for (const [at, customer] of customers.slice(0, 3).entries()) for (const n of [0, 1]) await Order.create({ customerId: customer.id, state: ['open', 'paid', 'sent'][(at + n) % 3], placedAt: new Date(Date.UTC(2024, at + n, 2, 3, 4, 5, 678)), code: `00000000-0000-4000-8000-00000000000${at * 2 + n}`, note: n === 0 ? null : `note ${at}`, lines: [0, 1, 2].slice(n).map((each) => ({ amount: each + 1, price: products[each + at].price, productId: products[each + at].id })) }, { include: ['lines'] });
    return Order.count();
  });
  await step('validated', () => Customer.create({ email: 'no address', name: 'x' }).catch((error) => error.errors.map(({ path, validatorKey }) => [path, validatorKey])));
}

async function find({ Customer, Product, Category, Order, Line }, { step }, sequelize) {
  const { fn, col, literal, where, cast } = Sequelize;
  await step('all', () => Customer.findAll({ order: [['email', 'ASC']] }));
  await step('one', () => Product.findOne({ where: { sku: 'SKU-002' } }));
  await step('operators', () => Product.findAll({ attributes: ['sku'], where: { [Op.or]: [{ price: { [Op.between]: [2, 4.5] } }, { title: { [Op.like]: '%9%a\\_b' } }, { stock: { [Op.in]: [0, 33] } }], onSale: { [Op.not]: null }, text: { [Op.or]: [{ [Op.is]: null }, { [Op.ne]: '' }] } }, order: ['sku'] }));
  await step('texts', () => Product.findAll({ attributes: ['sku'], where: { title: { [Op.startsWith]: 'thing 1', [Op.notLike]: '%0%' }, sku: { [Op.gt]: 'SKU-001', [Op.notIn]: ['SKU-005'] } }, order: [['sku', 'DESC']] }));
  await step('substring', () => Product.findAll({ attributes: ['sku'], where: { title: { [Op.substring]: '100%' }, sku: { [Op.endsWith]: '0' } }, order: ['sku'] }));
  await step('none of', () => Customer.findAll({ attributes: ['name'], where: { [Op.not]: [{ kind: 'gold' }, { isActive: false }], email: { [Op.notIn]: [] } }, order: ['name'] }));
  await step('dates', () => Product.findAll({ attributes: ['sku', 'madeAt'], where: { madeAt: { [Op.gte]: new Date('2024-03-01T00:00:00Z'), [Op.lt]: new Date('2024-09-01T08:00:00Z') } }, order: ['madeAt'] }));
  await step('birthdays', () => Customer.findAll({ attributes: ['name', 'born', [fn('YEAR', col('born')), 'year'], [fn('DATE_FORMAT', col('born'), '%d.%m.'), 'day']], where: where(fn('MONTH', col('born')), { [Op.lte]: 3 }), order: ['born'] }));
  await step('page', () => Product.findAndCountAll({ attributes: ['sku', 'price'], where: { stock: { [Op.gt]: 2 } }, order: [['price', 'DESC'], ['id', 'ASC']], limit: 4, offset: 3 }));
  await step('page with include', () => Customer.findAndCountAll({ include: [{ model: Order, as: 'orders', include: [{ model: Line, as: 'lines', include: ['product'] }] }], distinct: true, limit: 2, offset: 0, order: [['email', 'ASC'], [{ model: Order, as: 'orders' }, 'placedAt', 'DESC'], [{ model: Order, as: 'orders' }, { model: Line, as: 'lines' }, 'amount', 'ASC']] }));
  await step('many to many', () => Product.findAll({ attributes: ['sku'], include: [{ model: Category, as: 'categories', attributes: ['name'], through: { attributes: [] }, where: { name: ['books', 'toys'] } }], order: [['sku', 'ASC'], [{ model: Category, as: 'categories' }, 'name', 'ASC']], limit: 5 }));
  await step('required and not', () => Order.findAll({ where: { state: ['open', 'paid'] }, include: [{ model: Customer, as: 'customer', required: true, where: { kind: { [Op.ne]: 'staff' } } }, { model: Line, as: 'lines', required: false, where: { amount: { [Op.gt]: 1 } }, separate: true, order: [['amount', 'DESC']] }], order: [['placedAt', 'ASC'], ['customerId', 'ASC']] }).then((orders) => orders.map((order) => ({ ...order.toJSON(), code: order.code.length }))));
  await step('nested column', () => Order.findAll({ attributes: ['state'], include: [{ model: Customer, as: 'customer', attributes: ['name'] }], where: { '$customer.name$': { [Op.like]: 'b%' } }, order: [[col('customer.name'), 'ASC'], ['placedAt', 'ASC']] }));
  await step('grouped', () => Line.findAll({ attributes: ['productId', [fn('COUNT', col('Line.id')), 'n'], [fn('SUM', literal('amount * `Line`.`price`')), 'total']], include: [{ model: Product, as: 'product', attributes: ['sku'] }], group: ['productId', 'product.id', 'product.sku'], having: where(fn('SUM', col('amount')), Op.gt, 2), order: [[literal('total'), 'DESC'], [col('product.sku'), 'ASC']] }));
  await step('literal subquery', () => Customer.findAll({ attributes: { include: [[literal('(SELECT COUNT(*) FROM `orders` AS `o` WHERE `o`.`customerId` = `Customer`.`id`)'), 'orderCount'], [literal('(SELECT MAX(`placedAt`) FROM `orders` AS `o` WHERE `o`.`customerId` = `Customer`.`id`)'), 'lastOrder']], exclude: ['preferences'] }, order: [[literal('orderCount'), 'DESC'], ['email', 'ASC']] }));
  await step('IN subquery', () => Product.findAll({ attributes: ['sku'], where: { id: { [Op.in]: literal('(SELECT `productId` FROM `order_line` WHERE `amount` > 2)') } }, order: ['sku'] }));
  await step('casts', () => Product.findAll({ attributes: ['sku', [cast(col('price'), 'SIGNED'), 'whole'], [fn('ROUND', col('weight'), 2), 'weight2'], [fn('COALESCE', col('text'), 'none'), 'text'], [fn('LENGTH', col('title')), 'len']], order: [[fn('LENGTH', col('title')), 'DESC'], ['sku', 'ASC']], limit: 4 }));
  await step('aggregates', async () => [await Product.count(), await Product.count({ where: { onSale: true } }), await Product.sum('price'), await Product.max('price'), await Product.min('stock'), await Product.aggregate('stock', 'avg', { plain: true }), await Product.count({ distinct: true, col: 'onSale' }), await Product.max('madeAt')]);
  await step('counted groups', () => Customer.count({ group: ['kind'] }).then((groups) => groups.sort((a, b) => a.kind.localeCompare(b.kind))));
  await step('counted relations', () => Customer.count({ include: [{ model: Order, as: 'orders', where: { state: 'paid' } }], distinct: true }));
  await step('scopes', async () => [await Customer.scope('gold').findAll({ attributes: ['name'] }), await Customer.scope({ method: ['since', '1981-06-01'] }).findAll({ attributes: ['name'], order: ['born'] })]);
  await step('json column', () => Customer.findOne({ where: { email: 'ann@example.com' }, attributes: ['preferences'] }));
  await step('raw', () => sequelize.query('SELECT c.name, COUNT(DISTINCT o.id) AS orders, SUM(l.amount * l.price) AS total FROM customer c LEFT JOIN orders o ON o.customerId = c.id LEFT JOIN order_line l ON l.orderId = o.id WHERE c.email LIKE :like GROUP BY c.id, c.name ORDER BY 3 DESC, c.name LIMIT :limit', { replacements: { like: '%example.com', limit: 4 }, type: 'SELECT' }));
  await step('bound', () => sequelize.query('SELECT sku, price FROM product WHERE price > $1 AND title LIKE $2 ORDER BY price DESC', { bind: [5, '%a_b%'], type: 'SELECT' }));
  await step('tree', () => Category.findAll({ where: { parentId: null }, include: [{ model: Category, as: 'children', include: ['parent'] }], order: [[{ model: Category, as: 'children' }, 'rank', 'ASC'], [{ model: Category, as: 'children' }, 'name', 'ASC']] }));
}

async function associate({ Customer, Product, Category, Order }, { step }) {
  await step('accessors', async () => {
    const customer = await Customer.findOne({ where: { email: 'bob@example.com' } });
    const orders = await customer.getOrders({ order: ['placedAt'], include: ['lines'] });
    return [await customer.countOrders(), await customer.hasOrder(orders[0]), orders.map(({ state, lines }) => [state, lines.length])];
  });
  await step('create related', async () => {
    const customer = await Customer.findOne({ where: { email: 'dee@example.com' } });
    const order = await customer.createOrder({ placedAt: new Date(Date.UTC(2024, 5, 6)), note: 'made' });
    return (await order.getCustomer()).name;
  });
  await step('add and remove', async () => {
    const product = await Product.findOne({ where: { sku: 'SKU-004' } });
    const [category, isNew] = await Category.findOrCreate({ where: { name: 'fresh' }, defaults: { rank: 9 } });
    await product.addCategory(category);
    const has = await product.hasCategory(category);
    await product.removeCategories(await product.getCategories({ where: { name: 'all' } }));
    return [isNew, has, (await product.getCategories({ order: ['name'] })).map(({ name }) => name)];
  });
  await step('found or made', async () => (await Category.findOrCreate({ where: { name: 'fresh' }, defaults: { rank: 10 } })).map((each) => each.rank ?? each));
  await step('found or built', async () => (await Category.findCreateFind({ where: { name: 'fresher' }, defaults: { rank: 11 } }))[1]);
  await step('count of products', () => Category.findAll({ attributes: { include: [[Sequelize.fn('COUNT', Sequelize.col('products.id')), 'n']] }, include: [{ model: Product, as: 'products', attributes: [], through: { attributes: [] } }], group: ['Category.id'], order: [['name', 'ASC']] }));
  await step('orphans', () => Order.count({ where: { '$lines.id$': null }, include: ['lines'] }));
}

async function change({ Customer, Product, Category, Order, Line }, { step }, sequelize) {
  await step('save', async () => {
    const customer = await Customer.findOne({ where: { email: 'bob@example.com' } });
    customer.set({ credit: '77.70', preferences: { a: [] } });
    await customer.save();
    await customer.reload();
    return customer;
  });
  await step('optimistic', async () => {
    const [one, other] = [await Customer.findOne({ where: { email: 'cem@example.com' } }), await Customer.findOne({ where: { email: 'cem@example.com' } })];
    await one.update({ name: 'cem 2' });
    return other.update({ name: 'cem 3' }).catch((error) => error.name);
  });
  await step('update', async () => Product.update({ onSale: true, stock: 7 }, { where: { price: { [Op.lt]: 3 } } }));
  await step('update again', async () => Product.update({ stock: 7 }, { where: { price: { [Op.lt]: 3 } }, silent: true }));
  // No more rows than the limit: which ones it would leave out nobody says.
  await step('limited', async () => Product.update({ weight: 1.5 }, { where: { stock: { [Op.gt]: 28 } }, limit: 2 }));
  await step('increment', async () => { await Product.increment({ stock: 2, seen: 10 }, { where: { sku: ['SKU-003', 'SKU-004'] } }); const product = await Product.findOne({ where: { sku: 'SKU-003' } }); await product.decrement('stock', { by: 1 }); return (await product.reload()).stock; });
  await step('by literal', async () => Product.update({ title: Sequelize.fn('CONCAT', Sequelize.col('title'), ' / ', Sequelize.col('sku')), price: Sequelize.literal('price * 1.10') }, { where: { sku: 'SKU-005' } }));
  await step('upsert', async () => { await Product.upsert({ sku: 'SKU-000', title: 'Upserted', price: '0.50' }); await Product.upsert({ sku: 'SKU-100', title: 'New', price: '3.50' }); return Product.findAll({ where: { sku: ['SKU-000', 'SKU-100'] }, order: ['sku'] }); });
  await step('bulk upsert', async () => { await Category.bulkCreate([{ name: 'books', rank: 20 }, { name: 'newest', rank: 21 }], { updateOnDuplicate: ['rank'] }); return Category.findAll({ where: { rank: { [Op.gte]: 20 } }, attributes: ['name', 'rank'], order: ['rank'] }); });
  await step('ignored', async () => { await Category.bulkCreate([{ name: 'books', rank: 30 }, { name: 'last', rank: 31 }], { ignoreDuplicates: true }); return Category.findAll({ where: { name: ['books', 'last'] }, attributes: ['name', 'rank'], order: ['name'] }); });
  await step('duplicate', () => Customer.create({ email: 'ann@example.com', name: 'twin' }).catch((error) => [error.name, error.errors?.map(({ path, value }) => [path, value])]));
  await step('no parent', async () => Line.create({ amount: 1, price: 1, orderId: 123456789, productId: (await Product.findOne({ where: { sku: 'SKU-001' } })).id }).catch((error) => [error.name, error.fields, error.table]));
  await step('of a parent', () => Customer.destroy({ where: { email: 'ann@example.com' }, force: true }).catch((error) => [error.name, error.fields, error.table]));
  await step('null', () => sequelize.query("INSERT INTO category (name) VALUES (NULL)").catch((error) => [error.name, error.original.errno]));
  await step('soft', async () => [await Customer.destroy({ where: { email: 'eva@example.com' } }), await Customer.count(), await Customer.count({ paranoid: false }), await Customer.restore({ where: { email: 'eva@example.com' } }).then(() => Customer.count())]);
  await step('after it', () => Product.findAll({ attributes: { exclude: ['createdAt', 'updatedAt'] }, order: ['sku'] }));
}

async function transact({ Customer, Product, Order }, { step }, sequelize) {
  const credits = async () => (await Customer.findAll({ order: ['email'] })).map(({ name, credit }) => [name, credit]);
  await step('transfer', async () => {
    await sequelize.transaction(async (transaction) => {
      const [from, to] = await Customer.findAll({ where: { email: ['ann@example.com', 'bob@example.com'] }, order: ['email'], lock: transaction.LOCK.UPDATE, transaction });
      await from.decrement('credit', { by: 20.25, transaction });
      await to.increment('credit', { by: 20.25, transaction });
    });
    return credits();
  });
  await step('given up', async () => {
    await sequelize.transaction(async (transaction) => {
      await Product.update({ stock: 0 }, { where: {}, transaction });
      throw new Error('given up');
    }).catch(({ message }) => message);
    return Product.sum('stock');
  });
  await step('savepoint', async () => {
    await sequelize.transaction(async (transaction) => {
      await Customer.update({ credit: 1 }, { where: { email: 'dee@example.com' }, transaction });
      await sequelize.transaction({ transaction }, async (inner) => {
        await Customer.update({ credit: 2 }, { where: { email: 'dee@example.com' }, transaction: inner });
        throw new Error('inner');
      }).catch(() => undefined);
    });
    return credits();
  });
  for (const isolationLevel of [Transaction.ISOLATION_LEVELS.READ_COMMITTED, Transaction.ISOLATION_LEVELS.SERIALIZABLE]) await step(isolationLevel, () => sequelize.transaction({ isolationLevel }, async (transaction) => {
    const before = await Order.count({ transaction });
    await Order.update({ note: 'seen' }, { where: { state: 'open' }, transaction });
    return [before, await Order.count({ where: { note: 'seen' }, transaction })];
  }));
  await step('managed by hand', async () => {
    const transaction = await sequelize.transaction();
    await Product.create({ sku: 'SKU-900', title: 'gone', price: 1 }, { transaction });
    const within = await Product.count({ where: { sku: 'SKU-900' }, transaction });
    await transaction.rollback();
    return [within, await Product.count({ where: { sku: 'SKU-900' } })];
  });
  await step('skip locked', () => sequelize.transaction(async (transaction) => (await Product.findAll({ where: { onSale: true }, order: ['sku'], limit: 2, lock: true, skipLocked: true, transaction })).map(({ sku }) => sku)));
  await step('at once', async () => { await Promise.all(Array.from({ length: 8 }, () => Product.increment('seen', { where: { sku: 'SKU-001' } }))); return (await Product.findOne({ where: { sku: 'SKU-001' } })).seen; });
}

async function remove({ Customer, Product, Category, Line }, { step }) {
  await step('destroyed', async () => [await Line.destroy({ where: { amount: { [Op.gte]: 3 } } }), await Line.count()]);
  await step('limited destroy', async () => [await Line.destroy({ where: {}, limit: 2 }), await Line.count()]);
  await step('one', async () => { const category = await Category.findOne({ where: { name: 'fresher' } }); await category.destroy(); return Category.count(); });
  await step('left', async () => [await Customer.count(), await Product.count(), await Category.count(), await Line.count()]);
}
