import java.sql.*;
import java.util.Arrays;
import javax.sql.XAConnection;
import javax.transaction.xa.XAResource;
import javax.transaction.xa.Xid;
import org.mariadb.jdbc.MariaDbDataSource;

/** What an application asks of its own tables, through MariaDB Connector/J, by texts and by statements that the server prepares; prints `name => what came` for each. */
public class MariadbOnLocal {
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
      came = error.getErrorCode() + " " + error.getSQLState() + " " + String.valueOf(error.getMessage()).replaceAll("\\(conn=-?\\d+\\) ?", "").replaceAll("(?s)\\R.*", "");
    } catch (Exception error) {
      came = error.toString();
    }
    count++;
    System.out.println(mode + " " + name + " => " + came);
  }

  static String rows(ResultSet rows) throws SQLException {
    StringBuilder out = new StringBuilder();
    ResultSetMetaData meta = rows.getMetaData();
    for (int at = 1; at <= meta.getColumnCount(); at++) out.append(meta.getColumnLabel(at)).append(':').append(meta.getColumnTypeName(at)).append(' ');
    while (rows.next()) {
      for (int at = 1; at <= meta.getColumnCount(); at++) {
        Object value = rows.getObject(at);
        out.append('|').append(value instanceof byte[] bytes ? Arrays.toString(bytes) : value == null ? "null" : value.getClass().getSimpleName() + ":" + rows.getString(at));
      }
    }
    return out.toString();
  }

  static String asked(Connection connection, String sql, Object... values) throws SQLException {
    try (PreparedStatement statement = connection.prepareStatement(sql, Statement.RETURN_GENERATED_KEYS)) {
      for (int at = 0; at < values.length; at++) statement.setObject(at + 1, values[at]);
      if (statement.execute()) return rows(statement.getResultSet());
      StringBuilder out = new StringBuilder().append(statement.getUpdateCount());
      try (ResultSet keys = statement.getGeneratedKeys()) {
        while (keys.next()) out.append(" key ").append(keys.getString(1));
      }
      return out.toString();
    }
  }

  record Branch(int getFormatId, byte[] gtrid, byte[] bqual) implements Xid {
    public int getFormatId() {
      return getFormatId;
    }

    public byte[] getGlobalTransactionId() {
      return gtrid;
    }

    public byte[] getBranchQualifier() {
      return bqual;
    }
  }

  static String named(Xid xid) {
    return xid.getFormatId() + " " + Arrays.toString(xid.getGlobalTransactionId()) + " " + Arrays.toString(xid.getBranchQualifier());
  }

  static String recovered(XAResource resource) throws Exception {
    StringBuilder out = new StringBuilder();
    for (Xid xid : resource.recover(XAResource.TMSTARTRSCAN | XAResource.TMENDRSCAN)) out.append(named(xid)).append(';');
    return out.toString();
  }

  /** As a transaction manager does, by the driver's own XADataSource. */
  static void branches(String url) throws Exception {
    mode = "xa";
    MariaDbDataSource source = new MariaDbDataSource(url);
    XAConnection first = source.getXAConnection();
    XAConnection second = source.getXAConnection();
    XAResource resource = first.getXAResource();
    Xid kept = new Branch(4711, new byte[] {0, (byte) 255, 'a'}, new byte[] {'b'});
    Xid left = new Branch(1, "left".getBytes(), "x".getBytes());
    for (Xid xid : new Xid[] {kept, left}) {
      tried("prepare", () -> {
        resource.start(xid, XAResource.TMNOFLAGS);
        String changed = asked(first.getConnection(), "UPDATE item SET stock = stock + ? WHERE id = ?", 7, 1);
        resource.end(xid, XAResource.TMSUCCESS);
        return changed + " " + resource.prepare(xid);
      });
      tried("recover", () -> recovered(second.getXAResource()));
      tried("end it", () -> {
        if (xid == kept) resource.commit(xid, false);
        else resource.rollback(xid);
        return asked(second.getConnection(), "SELECT stock FROM item WHERE id = ?", 1) + recovered(resource);
      });
    }
    tried("one phase", () -> {
      resource.start(left, XAResource.TMNOFLAGS);
      String changed = asked(first.getConnection(), "UPDATE item SET stock = ? WHERE id = ?", 3, 1);
      resource.end(left, XAResource.TMSUCCESS);
      resource.commit(left, true);
      return changed + asked(second.getConnection(), "SELECT stock FROM item WHERE id = ?", 1);
    });
    first.close();
    second.close();
  }

  public static void main(String[] args) throws Exception {
    for (String options : new String[] {"&useServerPrepStmts=false", "&useServerPrepStmts=true"}) {
      mode = options.endsWith("true") ? "prepared" : "text";
      String tag = mode.substring(0, 1);
      try (Connection connection = DriverManager.getConnection(args[0] + options)) {
        tried("all", () -> asked(connection, "SELECT id, name, price, stock, active, state, picture, note, made FROM item WHERE id <= ? ORDER BY id", 3));
        tried("insert", () -> asked(connection, "INSERT INTO item (name, price, stock, state, picture, made) VALUES (?, ?, ?, ?, ?, ?)", "jdbc " + tag, new java.math.BigDecimal("1.25"), 5, "sold", new byte[] {0, (byte) 255}, Timestamp.valueOf("2024-02-29 23:59:59")));
        tried("read back", () -> asked(connection, "SELECT name, price, stock, state, picture, made FROM item WHERE name = ?", "JDBC " + tag));
        tried("null", () -> asked(connection, "UPDATE item SET note = ? WHERE name = ?", null, "jdbc " + tag));
        tried("duplicate", () -> asked(connection, "INSERT INTO item (name, price) VALUES (?, ?)", "jdbc " + tag, 1));
        tried("long", () -> asked(connection, "SELECT id FROM item WHERE id > ? AND price < ? ORDER BY id", 0L, 100.5));
        connection.setAutoCommit(false);
        tried("in a transaction", () -> asked(connection, "UPDATE item SET stock = stock + ? WHERE id = ?", 10, 1));
        Savepoint before = connection.setSavepoint("before");
        tried("behind a savepoint", () -> asked(connection, "UPDATE item SET stock = ? WHERE id = ?", 0, 1));
        connection.rollback(before);
        tried("as before", () -> asked(connection, "SELECT stock FROM item WHERE id = ?", 1));
        connection.rollback();
        connection.setAutoCommit(true);
        tried("rolled back", () -> asked(connection, "SELECT stock FROM item WHERE id = ?", 1));
        tried("batch", () -> {
          try (PreparedStatement statement = connection.prepareStatement("INSERT INTO line (item_id, amount) VALUES (?, ?)")) {
            for (int at = 1; at <= 3; at++) {
              statement.setInt(1, at);
              statement.setInt(2, 10 * at);
              statement.addBatch();
            }
            return Arrays.toString(statement.executeBatch());
          }
        });
        tried("fetched", () -> {
          try (PreparedStatement statement = connection.prepareStatement("SELECT id, amount FROM line WHERE id > ? ORDER BY id")) {
            statement.setFetchSize(2);
            statement.setInt(1, 0);
            return rows(statement.executeQuery());
          }
        });
      }
    }
    branches(args[0]);
    System.out.println("statements => " + count);
  }
}
