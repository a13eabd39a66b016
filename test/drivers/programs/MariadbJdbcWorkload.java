import java.io.ByteArrayInputStream;
import java.io.StringReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.*;
import java.util.Arrays;

/** Statements through MariaDB Connector/J; prints `name => what came` for each. */
public class MariadbJdbcWorkload {
  interface Work {
    Object run() throws Exception;
  }

  static int count = 0;
  static String mode = "";

  static void tried(String name, Work work) {
    String came;
    try {
      came = String.valueOf(work.run());
    } catch (SQLException error) {
      String message = String.valueOf(error.getMessage()).replaceAll("\\(conn=-?\\d+\\) ?", "").replaceAll("thread: [^ ]+", "").replaceAll("(?s)\\R.*", "");
      came = error.getClass().getSimpleName() + " " + error.getErrorCode() + " " + error.getSQLState() + " " + message;
    } catch (Exception error) {
      came = error.toString();
    }
    if (came.length() > 3000) came = came.substring(0, 1000) + " … " + came.hashCode();
    count++;
    System.out.println(mode + " " + name + " => " + came.replace("\n", "\\n").replace("\r", "\\r"));
  }

  static String cell(ResultSet rows, int at) throws SQLException {
    Object value = rows.getObject(at);
    return value instanceof byte[] bytes ? Arrays.toString(bytes) : value == null ? "null" : value.getClass().getSimpleName() + ":" + rows.getString(at);
  }

  static String rows(ResultSet rows) throws SQLException {
    StringBuilder out = new StringBuilder();
    ResultSetMetaData meta = rows.getMetaData();
    for (int at = 1; at <= meta.getColumnCount(); at++) out.append(meta.getColumnLabel(at)).append('/').append(meta.getColumnTypeName(at)).append('/').append(meta.getTableName(at)).append('/').append(meta.getPrecision(at)).append(' ');
    while (rows.next()) {
      out.append("| ");
      for (int at = 1; at <= meta.getColumnCount(); at++) out.append(cell(rows, at)).append(' ');
    }
    rows.close();
    return out.toString();
  }

  static String all(Statement statement, boolean isRows) throws SQLException {
    StringBuilder out = new StringBuilder();
    for (boolean more = isRows; ; more = statement.getMoreResults()) {
      if (more) out.append(rows(statement.getResultSet())).append(" ;; ");
      else if (statement.getUpdateCount() >= 0) out.append(statement.getUpdateCount()).append(" ;; ");
      else break;
    }
    SQLWarning warning = statement.getWarnings();
    return warning == null ? out.toString() : out + " warned " + warning.getErrorCode();
  }

  public static void main(String[] args) throws Exception {
    for (String options : new String[] {"", "useServerPrepStmts=true", "rewriteBatchedStatements=true&allowMultiQueries=true", "useServerPrepStmts=true&useBulkStmts=true&cachePrepStmts=true&useCompression=true"}) {
      mode = "[" + options + "]";
      run(args[0] + "&allowLocalInfile=true&" + options);
    }
    System.out.println("statements => " + count);
  }

  static void run(String url) throws Exception {
    Connection main = DriverManager.getConnection(url);
    for (String sql : new String[] {"SELECT 1", "SELECT * FROM kinds ORDER BY id", "SELECT * FROM item ORDER BY id", "SELECT id FROM item WHERE 0", "DO 1", "SELECT NULL", "SHOW TABLES", "DESCRIBE kinds", "SELECT nothing", "SELEC 1",
        "INSERT INTO item (name) VALUES ('k1'), ('k2')", "UPDATE item SET price = 2 WHERE name LIKE 'k%'", "INSERT INTO item (name) VALUES ('one')", "DELETE FROM item WHERE name LIKE 'k%'", "SELECT CAST('x' AS SIGNED)", "SELECT 1; SELECT 2",
        "CALL two_results(4, @b)", "CALL fails(3)", "SELECT @b", "SELECT doubled(21)", "SELECT 'ß', '漢字'"}) {
      tried("text " + sql, () -> {
        try (Statement statement = main.createStatement()) {
          return all(statement, statement.execute(sql));
        }
      });
      tried("prepared " + sql, () -> {
        try (PreparedStatement statement = main.prepareStatement(sql)) {
          String first = all(statement, statement.execute());
          return sql.startsWith("SELECT") ? first + all(statement, statement.execute()) : first;
        }
      });
    }
    try (PreparedStatement statement = main.prepareStatement("SELECT ?, ?, LENGTH(?)")) {
      Object[] values = {null, 1, -1L, 1.5, 2.5f, "x ß 漢", new byte[] {0, -1, 10}, true, new java.math.BigDecimal("12345.67890"), java.time.LocalDate.of(2024, 2, 29), Timestamp.valueOf("2024-02-29 01:02:03.004005"), Time.valueOf("01:02:03"), (byte) 3, (short) 4};
      for (Object value : values) {
        tried("parameter " + (value instanceof byte[] ? "bytes" : value), () -> {
          for (int at = 1; at <= 3; at++) statement.setObject(at, value);
          return rows(statement.executeQuery());
        });
      }
    }
    try (PreparedStatement statement = main.prepareStatement("SELECT LENGTH(?), MD5(?)")) {
      for (int size : new int[] {0, 100, 70000, 1 << 20, mode.equals("[useServerPrepStmts=true]") ? 17 << 20 : 5}) {
        tried("stream of " + size, () -> {
          statement.setBinaryStream(1, new ByteArrayInputStream(new byte[size]));
          statement.setCharacterStream(2, new StringReader("y".repeat(Math.min(size, 100000))));
          return rows(statement.executeQuery());
        });
      }
    }
    for (int size : new int[] {100, 70000, mode.equals("[useServerPrepStmts=true]") ? 1 << 24 : 7}) {
      tried("answer of " + size, () -> {
        try (PreparedStatement statement = main.prepareStatement("SELECT REPEAT('x', " + size + ")"); ResultSet rows = statement.executeQuery()) {
          rows.next();
          return rows.getString(1).length();
        }
      });
    }
    tried("batch", () -> {
      try (PreparedStatement statement = main.prepareStatement("INSERT INTO item (name, price) VALUES (?, ?)", Statement.RETURN_GENERATED_KEYS)) {
        for (int i = 0; i < 500; i++) {
          statement.setString(1, "b" + i);
          statement.setInt(2, i);
          statement.addBatch();
        }
        int sum = 0;
        for (int n : statement.executeBatch()) sum += n;
        int keys = 0;
        for (ResultSet made = statement.getGeneratedKeys(); made.next(); ) keys++;
        return sum + " " + keys;
      }
    });
    tried("batch with an error", () -> {
      try (PreparedStatement statement = main.prepareStatement("INSERT INTO item (name) VALUES (?)")) {
        for (String name : new String[] {"e1", "one", "e2"}) {
          statement.setString(1, name);
          statement.addBatch();
        }
        return Arrays.toString(statement.executeBatch());
      }
    });
    tried("batch of texts", () -> {
      try (Statement statement = main.createStatement()) {
        statement.addBatch("DELETE FROM item WHERE name LIKE 'b%'");
        statement.addBatch("DELETE FROM item WHERE name LIKE 'e_'");
        statement.addBatch("DO 1");
        return Arrays.toString(statement.executeBatch());
      }
    });
    tried("row by row", () -> {
      try (Statement statement = main.createStatement()) {
        statement.setFetchSize(3);
        int sum = 0;
        try (ResultSet rows = statement.executeQuery("SELECT a.id FROM item a, item b, item c")) {
          while (rows.next()) sum++;
        }
        return sum;
      }
    });
    tried("row by row, not to its end", () -> {
      try (Statement statement = main.createStatement()) {
        statement.setFetchSize(1);
        try (ResultSet rows = statement.executeQuery("SELECT a.id FROM item a, item b, item c")) {
          rows.next();
        }
        return rows(main.createStatement().executeQuery("SELECT 5"));
      }
    });
    tried("callable", () -> {
      try (CallableStatement statement = main.prepareCall("{call two_results(?, ?)}")) {
        statement.setInt(1, 6);
        statement.registerOutParameter(2, Types.INTEGER);
        statement.execute();
        return statement.getInt(2);
      }
    });
    tried("function", () -> {
      try (CallableStatement statement = main.prepareCall("{? = call doubled(?)}")) {
        statement.registerOutParameter(1, Types.INTEGER);
        statement.setInt(2, 8);
        statement.execute();
        return statement.getInt(1);
      }
    });
    tried("transaction", () -> {
      main.setAutoCommit(false);
      main.setTransactionIsolation(Connection.TRANSACTION_READ_COMMITTED);
      try (Statement statement = main.createStatement()) {
        statement.executeUpdate("INSERT INTO item (name) VALUES ('t1')");
        Savepoint point = main.setSavepoint("p");
        statement.executeUpdate("INSERT INTO item (name) VALUES ('t2')");
        main.rollback(point);
        String seen = rows(statement.executeQuery("SELECT name FROM item WHERE name LIKE 't_'"));
        main.rollback();
        main.setAutoCommit(true);
        return seen + main.getTransactionIsolation() + main.getAutoCommit() + rows(statement.executeQuery("SELECT name FROM item WHERE name LIKE 't_'"));
      }
    });
    tried("read only", () -> {
      main.setReadOnly(true);
      boolean is = main.isReadOnly();
      main.setReadOnly(false);
      return is;
    });
    tried("catalog", () -> {
      main.setCatalog("mysql");
      String there = main.getCatalog();
      main.setCatalog("shop");
      return there + main.getCatalog() + main.isValid(5);
    });
    tried("cancelled", () -> {
      try (Statement statement = main.createStatement()) {
        Thread canceller = new Thread(() -> {
          try {
            Thread.sleep(300);
            statement.cancel();
          } catch (Exception error) {
            System.out.println("cancel => " + error.getClass());
          }
        });
        canceller.start();
        String came;
        try {
          came = rows(statement.executeQuery("SELECT SLEEP(20) FROM item LIMIT 1"));
        } catch (SQLException error) {
          came = error.getClass().getSimpleName() + error.getErrorCode();
        }
        canceller.join();
        return came + rows(main.createStatement().executeQuery("SELECT 6"));
      }
    });
    Path file = Files.createTempFile("causeway", ".tsv");
    Files.write(file, "l1\t1\nl2\t2\n".getBytes(StandardCharsets.UTF_8));
    tried("local infile", () -> {
      try (Statement statement = main.createStatement()) {
        return statement.executeUpdate("LOAD DATA LOCAL INFILE '" + file + "' INTO TABLE item (name, price)") + statement.executeUpdate("DELETE FROM item WHERE name LIKE 'l_'");
      }
    });
    Files.delete(file);
    DatabaseMetaData meta = main.getMetaData();
    tried("product", () -> meta.getDatabaseProductName() + " " + meta.getDatabaseProductVersion() + " " + meta.supportsTransactions());
    tried("tables", () -> rows(meta.getTables("shop", null, "%", null)));
    tried("columns", () -> rows(meta.getColumns("shop", null, "item", "%")));
    tried("keys", () -> rows(meta.getPrimaryKeys("shop", null, "item")) + rows(meta.getIndexInfo("shop", null, "item", false, false).getMetaData().getColumnCount() > 0 ? meta.getPrimaryKeys("shop", null, "kinds") : null));
    tried("procedures", () -> rows(meta.getProcedureColumns("shop", null, "two_results", "%")));
    tried("updatable", () -> {
      try (Statement statement = main.createStatement(ResultSet.TYPE_SCROLL_INSENSITIVE, ResultSet.CONCUR_UPDATABLE); ResultSet rows = statement.executeQuery("SELECT id, note FROM item ORDER BY id")) {
        rows.last();
        rows.updateString(2, "changed");
        rows.updateRow();
        rows.absolute(1);
        return rows.getString(2);
      }
    });
    main.close();
    tried("closed", () -> main.createStatement());
  }
}
