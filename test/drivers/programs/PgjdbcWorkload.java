import java.io.*;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.sql.*;
import java.time.*;
import java.util.*;
import org.postgresql.*;
import org.postgresql.copy.*;
import org.postgresql.largeobject.*;
import org.postgresql.util.*;

/**
 * What applications do through pgjdbc, on the tables that {@code setup.sql} of the test makes. Prints each statement's outcome on a line of its own; two runs
 * against databases of the same content print the same. Arguments: JDBC URL.
 */
public class PgjdbcWorkload {
    interface Work { Object run() throws Exception; }

    static int lines = 0;
    static Connection db;

    public static void main(String[] args) throws Exception {
        for (String mode : new String[] {"extended", "simple", "extendedForPrepared", "extendedCacheEverything"}) {
            for (String autosave : new String[] {"never", "always"}) {
                section(mode + " " + autosave);
                db = DriverManager.getConnection(args[0] + "&preferQueryMode=" + mode + "&autosave=" + autosave + "&prepareThreshold=3&defaultRowFetchSize=0");
                workload();
                db.close();
            }
        }
        section("the rest");
        db = DriverManager.getConnection(args[0] + "&reWriteBatchedInserts=true&prepareThreshold=1&binaryTransfer=true");
        copies();
        largeObjects();
        cursors();
        metadata();
        cancels(args[0]);
        notifications(args[0]);
        isolation(args[0]);
        db.close();
        System.out.println("statements => " + lines);
    }

    static void workload() throws Exception {
        say("truncate", () -> update("TRUNCATE item, entry RESTART IDENTITY"));
        for (int i = 1; i <= 6; i++) {
            final int n = i;
            say("insert " + i, () -> insertItem(n));
        }
        for (int i = 1; i <= 5; i++) {
            final int n = i;
            say("select " + i, () -> rows("SELECT id, name, price, made, flags, doc, at FROM item WHERE id = ?", n));
        }
        say("generated keys", () -> {
            try (PreparedStatement p = db.prepareStatement("INSERT INTO item(name) VALUES (?), (?)", new String[] {"id", "name"})) {
                p.setString(1, "one");
                p.setString(2, "two");
                p.executeUpdate();
                return print(p.getGeneratedKeys());
            }
        });
        say("returning", () -> rows("UPDATE item SET price = price * 2 WHERE id <= ? RETURNING id, price", 3));
        say("batch", () -> batch("INSERT INTO entry(item, note) VALUES (?, ?)", 40));
        say("batch that fails", () -> batch("INSERT INTO item(id, name) VALUES (?, ?)", 40));
        say("statement batch", () -> {
            try (Statement s = db.createStatement()) {
                for (int i = 0; i < 5; i++) s.addBatch("INSERT INTO entry(item, note) VALUES (" + i + ", 'b')");
                s.addBatch("DELETE FROM entry WHERE item = 3");
                return Arrays.toString(s.executeBatch());
            }
        });
        say("count", () -> rows("SELECT count(*), min(item), max(note) FROM entry"));
        say("several results", () -> several("SELECT count(*) FROM item; UPDATE entry SET note = 'x' WHERE item < 3; SELECT count(*) FROM entry"));
        say("several results, the first of no table", () -> several("SELECT 1; UPDATE entry SET note = 'y' WHERE item < 3; SELECT count(*) FROM entry"));
        say("several results, one in the middle of no table", () -> several("UPDATE entry SET note = 'z' WHERE item < 3; SELECT 1; UPDATE entry SET note = 'z' WHERE item > 38"));
        block("block, committed", true, () -> {
            say("  in it", () -> update("INSERT INTO entry(item, note) VALUES (?, ?)", 100, "block"));
            say("  read", () -> rows("SELECT * FROM entry WHERE item = ?", 100));
            return null;
        });
        block("block, rolled back", false, () -> {
            say("  in it", () -> update("DELETE FROM entry"));
            say("  read", () -> rows("SELECT count(*) FROM entry"));
            return null;
        });
        say("after", () -> rows("SELECT count(*) FROM entry"));
        block("block with an error", true, () -> {
            say("  before", () -> update("INSERT INTO entry(item, note) VALUES (101, 'kept by autosave')"));
            say("  error", () -> update("INSERT INTO item(id, name) VALUES (1, 'twice')"));
            say("  after", () -> update("INSERT INTO entry(item, note) VALUES (102, 'after')"));
            say("  division", () -> rows("SELECT 1 / ?", 0));
            return null;
        });
        say("after", () -> rows("SELECT item, note FROM entry WHERE item > 100 ORDER BY item"));
        block("savepoints", true, () -> {
            Savepoint a = db.setSavepoint("a");
            say("  one", () -> update("INSERT INTO entry(item, note) VALUES (200, 'a')"));
            Savepoint b = db.setSavepoint();
            say("  write to no table", () -> update("INSERT INTO missing VALUES (1)"));
            say("  rollback to", () -> { db.rollback(b); return "ok"; });
            say("  two", () -> update("INSERT INTO entry(item, note) VALUES (201, 'b')"));
            say("  release", () -> { db.releaseSavepoint(a); return "ok"; });
            return null;
        });
        say("after", () -> rows("SELECT item FROM entry WHERE item >= 200 ORDER BY item"));
        for (String sql : new String[] {"SELECT nothing FROM item", "SELEC 1", "SELECT * FROM missing", "INSERT INTO item(name) VALUES (NULL)", "INSERT INTO item(name, price) VALUES ('x', -1)", "UPDATE item SET price = 'x'", "SELECT 1 / 0", "SELECT * FROM item WHERE id = 'x'"})
            say("error: " + sql, () -> rows(sql));
        for (String sql : new String[] {"SELECT ?::int + 1", "SELECT ?::text || 'x'", "SELECT ?::numeric * 2", "SELECT ?::date + 1", "SELECT ?::timestamptz AT TIME ZONE 'UTC'", "SELECT ?::jsonb -> 'a'", "SELECT ?::bool", "SELECT ?::interval * 2", "SELECT ?::uuid", "SELECT ?::bytea"}) {
            String value = sql.contains("date") ? "2024-02-28" : sql.contains("timestamptz") ? "2024-02-28 12:34:56+02" : sql.contains("json") ? "{\"a\": [1, 2]}" : sql.contains("bool") ? "true" : sql.contains("interval") ? "1 day 02:03:04"
                : sql.contains("uuid") ? "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11" : sql.contains("bytea") ? "\\x00ff10" : "41";
            for (int i = 0; i < 4; i++) say(sql, () -> rows(sql, value));
        }
        say("multiple parameters", () -> rows("SELECT id, name FROM item WHERE id BETWEEN ? AND ? AND name LIKE ? ORDER BY id DESC", 1, 6, "%item%"));
        say("arrays", () -> {
            try (PreparedStatement p = db.prepareStatement("SELECT id FROM item WHERE id = ANY (?) ORDER BY id")) {
                p.setArray(1, db.createArrayOf("integer", new Integer[] {1, 3, 5}));
                return print(p.executeQuery());
            }
        });
        say("call", () -> {
            try (CallableStatement c = db.prepareCall("{? = call twice(?)}")) {
                c.registerOutParameter(1, Types.INTEGER);
                c.setInt(2, 21);
                c.execute();
                return c.getInt(1);
            }
        });
        say("search path", () -> update("SET search_path = pg_catalog"));
        say("without it", () -> rows("SELECT count(*) FROM item"));
        say("schema", () -> { db.setSchema("public"); return db.getSchema(); });
        say("with it", () -> rows("SELECT count(*) FROM item"));
        say("temporary", () -> update("CREATE TEMP TABLE mine(a int)"));
        say("temporary, filled", () -> update("INSERT INTO mine SELECT generate_series(1, 10)"));
        say("temporary, read", () -> rows("SELECT sum(a) FROM mine"));
        say("temporary, gone", () -> update("DROP TABLE mine"));
        say("max rows", () -> {
            try (Statement s = db.createStatement()) {
                s.setMaxRows(2);
                return print(s.executeQuery("SELECT id FROM item ORDER BY id"));
            }
        });
        say("warnings", () -> {
            try (Statement s = db.createStatement()) {
                s.execute("DO $$ BEGIN RAISE WARNING 'careful %', 7; END $$");
                return s.getWarnings();
            }
        });
        say("read only", () -> {
            db.setReadOnly(true);
            db.setAutoCommit(false);
            try {
                return update("DELETE FROM entry");
            } finally {
                db.rollback();
                db.setAutoCommit(true);
                db.setReadOnly(false);
            }
        });
        say("truncate", () -> update("TRUNCATE entry"));
    }

    static void copies() throws Exception {
        CopyManager copy = ((PGConnection) db).getCopyAPI();
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < 3000; i++) text.append(i).append("\tnote ").append(i).append('\n');
        say("copy in", () -> copy.copyIn("COPY entry(item, note) FROM STDIN", new StringReader(text.toString())));
        say("copy in, csv", () -> copy.copyIn("COPY entry(item, note) FROM STDIN (FORMAT csv)", new ByteArrayInputStream("9000,a\n9001,\"b,c\"\n".getBytes(StandardCharsets.UTF_8)), 7));
        say("copy in that fails", () -> copy.copyIn("COPY entry(item, note) FROM STDIN", new StringReader("1\tx\nbad\ty\n")));
        say("copy in, cancelled", () -> {
            CopyIn in = copy.copyIn("COPY entry(item, note) FROM STDIN");
            byte[] row = "5\tx\n".getBytes(StandardCharsets.UTF_8);
            in.writeToCopy(row, 0, row.length);
            in.cancelCopy();
            return in.isActive();
        });
        say("copy out", () -> {
            StringWriter out = new StringWriter();
            long count = copy.copyOut("COPY (SELECT item, note FROM entry ORDER BY item) TO STDOUT (FORMAT csv, HEADER)", out);
            return count + " " + out.toString().hashCode();
        });
        block("copy in a block", false, () -> {
            say("  copy", () -> copy.copyIn("COPY entry(item, note) FROM STDIN", new StringReader("1\tblock\n")));
            say("  count", () -> rows("SELECT count(*) FROM entry"));
            return null;
        });
        say("count", () -> rows("SELECT count(*), sum(item) FROM entry"));
        say("rewritten batch", () -> batch("INSERT INTO entry(item, note) VALUES (?, ?)", 200));
    }

    static void largeObjects() throws Exception {
        block("large object", true, () -> {
            LargeObjectManager manager = ((PGConnection) db).getLargeObjectAPI();
            long id = manager.createLO(LargeObjectManager.READWRITE);
            say("  written", () -> {
                try (LargeObject object = manager.open(id, LargeObjectManager.WRITE)) {
                    object.write(new byte[20000]);
                    object.seek(10);
                    object.write("ten".getBytes(StandardCharsets.UTF_8));
                    return object.tell();
                }
            });
            say("  with rows", () -> rows("SELECT count(*) FROM item"));
            say("  read", () -> {
                try (LargeObject object = manager.open(id, LargeObjectManager.READ)) {
                    object.seek(9);
                    return object.size() + " " + Arrays.toString(object.read(6));
                }
            });
            say("  deleted", () -> { manager.delete(id); return "ok"; });
            return null;
        });
    }

    static void cursors() throws Exception {
        block("fetch size", true, () -> {
            try (PreparedStatement p = db.prepareStatement("SELECT item, note FROM entry ORDER BY item, note")) {
                p.setFetchSize(100);
                ResultSet found = p.executeQuery();
                int seen = 0;
                long sum = 0;
                while (found.next()) {
                    seen += 1;
                    sum += found.getInt(1);
                    if (seen == 150) say("  beside it", () -> rows("SELECT count(*) FROM item"));
                }
                return seen + " " + sum;
            }
        });
        say("scrollable", () -> {
            try (Statement s = db.createStatement(ResultSet.TYPE_SCROLL_INSENSITIVE, ResultSet.CONCUR_READ_ONLY)) {
                ResultSet found = s.executeQuery("SELECT item FROM entry ORDER BY item, note");
                found.last();
                int last = found.getInt(1);
                found.absolute(5);
                int fifth = found.getInt(1);
                found.previous();
                return last + " " + fifth + " " + found.getInt(1);
            }
        });
        say("updatable", () -> {
            try (Statement s = db.createStatement(ResultSet.TYPE_SCROLL_INSENSITIVE, ResultSet.CONCUR_UPDATABLE)) {
                ResultSet found = s.executeQuery("SELECT id, name FROM item WHERE id <= 2 ORDER BY id");
                found.next();
                found.updateString("name", "updated in place");
                found.updateRow();
                found.refreshRow();
                String name = found.getString("name");
                found.moveToInsertRow();
                found.updateInt("id", 7000);
                found.updateString("name", "inserted in place");
                found.insertRow();
                return name;
            }
        });
        say("after updatable", () -> rows("SELECT id, name FROM item WHERE id IN (1, 7000) ORDER BY id"));
        db.createStatement().execute("DELETE FROM item WHERE id = 7000");
        block("reference cursor", true, () -> {
            say("  declared", () -> update("DECLARE c CURSOR FOR SELECT item FROM entry ORDER BY item, note"));
            say("  fetched", () -> rows("FETCH 3 FROM c"));
            say("  fetched", () -> rows("FETCH 2 FROM c"));
            say("  closed", () -> update("CLOSE c"));
            return null;
        });
    }

    static void metadata() throws Exception {
        DatabaseMetaData about = db.getMetaData();
        say("tables", () -> print(about.getTables(null, "public", "%", new String[] {"TABLE", "VIEW"})));
        say("columns", () -> print(about.getColumns(null, "public", "item", "%")));
        say("keys", () -> print(about.getPrimaryKeys(null, "public", "item")));
        say("foreign keys", () -> print(about.getImportedKeys(null, "public", "entry")));
        say("indexes", () -> {
            StringBuilder all = new StringBuilder();
            try (ResultSet found = about.getIndexInfo(null, "public", "item", false, true)) {
                while (found.next()) all.append(found.getString("INDEX_NAME")).append(' ').append(found.getString("COLUMN_NAME"));
            }
            return all;
        });
        say("procedures", () -> print(about.getFunctions(null, "public", "%")));
        say("version", () -> about.getDatabaseProductVersion() + " " + about.getSQLKeywords().length());
        for (String sql : new String[] {"SELECT id, name AS other, price, made, flags, doc, at, 1 AS plain FROM item", "SELECT item, note FROM entry"}) {
            say("types of " + sql.replaceAll(".* FROM ", ""), () -> {
                try (PreparedStatement p = db.prepareStatement(sql)) {
                    ResultSetMetaData columns = p.getMetaData();
                    StringBuilder all = new StringBuilder();
                    for (int i = 1; i <= columns.getColumnCount(); i++) all.append(columns.getColumnLabel(i)).append(' ').append(columns.getColumnTypeName(i)).append(' ').append(columns.getPrecision(i)).append('/').append(columns.getScale(i)).append("; ");
                    return all;
                }
            });
            say("origins of " + sql.replaceAll(".* FROM ", ""), () -> {
                try (PreparedStatement p = db.prepareStatement(sql)) {
                    ResultSetMetaData columns = p.getMetaData();
                    StringBuilder all = new StringBuilder();
                    for (int i = 1; i <= columns.getColumnCount(); i++) all.append(((PGResultSetMetaData) columns).getBaseTableName(i)).append('.').append(((PGResultSetMetaData) columns).getBaseColumnName(i)).append(' ').append(columns.isNullable(i)).append(' ').append(columns.isAutoIncrement(i)).append("; ");
                    return all;
                }
            });
        }
        say("parameters", () -> {
            try (PreparedStatement p = db.prepareStatement("INSERT INTO item(name, price, made, doc) VALUES (?, ?, ?, ?)")) {
                ParameterMetaData parameters = p.getParameterMetaData();
                StringBuilder all = new StringBuilder();
                for (int i = 1; i <= parameters.getParameterCount(); i++) all.append(parameters.getParameterTypeName(i)).append(' ');
                return all;
            }
        });
    }

    static void cancels(String url) throws Exception {
        say("query timeout", () -> {
            try (Statement s = db.createStatement()) {
                s.setQueryTimeout(1);
                return print(s.executeQuery("SELECT pg_sleep(30), (SELECT count(*) FROM item)"));
            }
        });
        say("cancel", () -> {
            try (Statement s = db.createStatement()) {
                Thread thread = new Thread(() -> {
                    try {
                        Thread.sleep(300);
                        s.cancel();
                    } catch (Exception error) {
                        throw new RuntimeException(error);
                    }
                });
                thread.start();
                try {
                    return print(s.executeQuery("SELECT pg_sleep(30)"));
                } finally {
                    thread.join();
                }
            }
        });
        say("usable", () -> rows("SELECT count(*) FROM item"));
    }

    static void notifications(String url) throws Exception {
        try (Connection other = DriverManager.getConnection(url)) {
            say("listen", () -> update("LISTEN news"));
            try (Statement s = other.createStatement()) {
                s.execute("NOTIFY news, 'first'");
                s.execute("SELECT pg_notify('news', 'second')");
            }
            say("notified", () -> {
                List<String> all = new ArrayList<>();
                for (long end = System.nanoTime() + 5_000_000_000L; all.size() < 2 && System.nanoTime() < end;) {
                    PGNotification[] found = ((PGConnection) db).getNotifications(100);
                    if (found != null) for (PGNotification one : found) all.add(one.getName() + "=" + one.getParameter());
                }
                return all;
            });
            say("unlisten", () -> update("UNLISTEN *"));
        }
    }

    static void isolation(String url) throws Exception {
        for (int level : new int[] {Connection.TRANSACTION_READ_COMMITTED, Connection.TRANSACTION_REPEATABLE_READ, Connection.TRANSACTION_SERIALIZABLE}) {
            db.setTransactionIsolation(level);
            block("isolation " + level, true, () -> {
                if (level != Connection.TRANSACTION_SERIALIZABLE) say("  level", () -> rows("SHOW transaction_isolation"));
                say("  read", () -> rows("SELECT count(*) FROM item"));
                try (Connection other = DriverManager.getConnection(url); Statement s = other.createStatement()) {
                    s.executeUpdate("INSERT INTO item(name) VALUES ('from another')");
                }
                say("  again", () -> rows("SELECT count(*) FROM item"));
                return null;
            });
        }
    }

    static Object insertItem(int n) throws Exception {
        try (PreparedStatement p = db.prepareStatement("INSERT INTO item(name, price, made, flags, doc, at) VALUES (?, ?, ?, ?, ?::jsonb, ?)")) {
            p.setString(1, "item " + n);
            p.setBigDecimal(2, new BigDecimal("10.25").multiply(BigDecimal.valueOf(n)));
            p.setObject(3, LocalDate.of(2024, 1, n));
            p.setArray(4, db.createArrayOf("text", new String[] {"a" + n, null, "q\"uote"}));
            p.setString(5, "{\"n\": " + n + "}");
            p.setObject(6, OffsetDateTime.of(2024, 3, n, 1, 2, 3, 456000000, ZoneOffset.UTC));
            return p.executeUpdate();
        }
    }

    static Object batch(String sql, int size) throws Exception {
        try (PreparedStatement p = db.prepareStatement(sql)) {
            for (int i = 1; i <= size; i++) {
                p.setInt(1, i);
                p.setString(2, "batch " + i);
                p.addBatch();
            }
            return Arrays.hashCode(p.executeBatch());
        }
    }

    static Object several(String sql) throws Exception {
        try (Statement s = db.createStatement()) {
            StringBuilder all = new StringBuilder();
            boolean isRows = s.execute(sql);
            while (true) {
                if (isRows) all.append(print(s.getResultSet()));
                else if (s.getUpdateCount() < 0) return all;
                else all.append(" updated ").append(s.getUpdateCount());
                isRows = s.getMoreResults();
            }
        }
    }

    static Object update(String sql, Object... values) throws Exception {
        try (PreparedStatement p = db.prepareStatement(sql)) {
            for (int i = 0; i < values.length; i++) p.setObject(i + 1, values[i]);
            return p.executeUpdate();
        }
    }

    static Object rows(String sql, Object... values) throws Exception {
        try (PreparedStatement p = db.prepareStatement(sql)) {
            for (int i = 0; i < values.length; i++) p.setObject(i + 1, values[i]);
            return print(p.executeQuery());
        }
    }

    static String print(ResultSet found) throws Exception {
        StringBuilder all = new StringBuilder();
        int columns = found.getMetaData().getColumnCount();
        while (found.next()) {
            all.append('[');
            for (int i = 1; i <= columns; i++) all.append(i > 1 ? ", " : "").append(found.getString(i));
            all.append(']');
        }
        found.close();
        return all.toString();
    }

    static void block(String name, boolean commits, Work work) throws Exception {
        db.setAutoCommit(false);
        say(name, work);
        say(name + (commits ? ": commit" : ": rollback"), () -> {
            if (commits) db.commit();
            else db.rollback();
            return "ok";
        });
        db.rollback();
        db.setAutoCommit(true);
    }

    static void section(String name) {
        System.out.println("== " + name);
    }

    static void say(String name, Work work) {
        lines += 1;
        String outcome;
        try {
            outcome = String.valueOf(work.run());
        } catch (BatchUpdateException error) {
            outcome = "batch error " + error.getSQLState() + " " + Arrays.hashCode(error.getUpdateCounts()) + " " + error.getMessage();
        } catch (PSQLException error) {
            ServerErrorMessage from = error.getServerErrorMessage();
            outcome = "error " + error.getSQLState() + " " + error.getMessage() + (from == null ? "" : " table=" + from.getTable() + " constraint=" + from.getConstraint() + " position=" + from.getPosition());
        } catch (Exception error) {
            outcome = "error " + error;
        }
        System.out.println(name + " => " + outcome.replace("\n", "\\n"));
    }
}
