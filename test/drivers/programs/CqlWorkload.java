import com.datastax.oss.driver.api.core.ConsistencyLevel;
import com.datastax.oss.driver.api.core.CqlIdentifier;
import com.datastax.oss.driver.api.core.CqlSession;
import com.datastax.oss.driver.api.core.CqlSessionBuilder;
import com.datastax.oss.driver.api.core.AllNodesFailedException;
import com.datastax.oss.driver.api.core.DefaultConsistencyLevel;
import com.datastax.oss.driver.api.core.DriverException;
import com.datastax.oss.driver.api.core.config.DefaultDriverOption;
import com.datastax.oss.driver.api.core.config.DriverConfigLoader;
import com.datastax.oss.driver.api.core.config.ProgrammaticDriverConfigLoaderBuilder;
import com.datastax.oss.driver.api.core.cql.AsyncResultSet;
import com.datastax.oss.driver.api.core.cql.BatchStatement;
import com.datastax.oss.driver.api.core.cql.BatchType;
import com.datastax.oss.driver.api.core.cql.BoundStatement;
import com.datastax.oss.driver.api.core.cql.DefaultBatchType;
import com.datastax.oss.driver.api.core.cql.PreparedStatement;
import com.datastax.oss.driver.api.core.cql.QueryTrace;
import com.datastax.oss.driver.api.core.cql.ResultSet;
import com.datastax.oss.driver.api.core.cql.Row;
import com.datastax.oss.driver.api.core.cql.SimpleStatement;
import com.datastax.oss.driver.api.core.cql.Statement;
import com.datastax.oss.driver.api.core.data.CqlDuration;
import com.datastax.oss.driver.api.core.data.CqlVector;
import com.datastax.oss.driver.api.core.data.TupleValue;
import com.datastax.oss.driver.api.core.data.UdtValue;
import com.datastax.oss.driver.api.core.metadata.Node;
import com.datastax.oss.driver.api.core.metadata.schema.TableMetadata;
import com.datastax.oss.driver.api.core.type.DataTypes;
import com.datastax.oss.driver.api.core.type.TupleType;
import com.datastax.oss.driver.api.core.type.UserDefinedType;
import com.datastax.oss.protocol.internal.util.Bytes;
import java.io.BufferedReader;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.time.Duration;
import java.time.Instant;
import java.time.LocalDate;
import java.time.LocalTime;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.UUID;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.Semaphore;
import java.util.stream.Collectors;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

/**
 * The Java driver at work on a Cassandra cluster: "name => what came", a line for each check. Arguments: host, port, keyspace to make, data centre.
 * A line that begins with "?" asks for something to be done before the next line of input.
 */
public class CqlWorkload {
  static final PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
  static final BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
  static int checks = 0;
  static String host, ks, datacenter;
  static int port;
  static CqlSession session;

  static String plain(Object value) {
    if (value instanceof ByteBuffer bytes) return Bytes.toHexString(bytes);
    if (value instanceof ResultSet rows) return plain(rows.all());
    if (value instanceof Row row) {
      List<String> cells = new ArrayList<>();
      for (int at = 0; at < row.getColumnDefinitions().size(); at++) cells.add(row.getColumnDefinitions().get(at).getName().asInternal() + "=" + plain(row.getObject(at)));
      return "(" + String.join(", ", cells) + ")";
    }
    if (value instanceof Set<?> set) return "{" + set.stream().map(CqlWorkload::plain).sorted().collect(Collectors.joining(", ")) + "}";
    if (value instanceof Collection<?> all) return "[" + all.stream().map(CqlWorkload::plain).collect(Collectors.joining(", ")) + "]";
    if (value instanceof Map<?, ?> map) return "{" + map.entrySet().stream().map(each -> plain(each.getKey()) + ": " + plain(each.getValue())).sorted().collect(Collectors.joining(", ")) + "}";
    if (value instanceof UdtValue || value instanceof TupleValue) return value instanceof UdtValue udt ? udt.getFormattedContents() : ((TupleValue) value).getFormattedContents();
    String text = String.valueOf(value);
    return text.length() > 400 ? text.substring(0, 400) + "… " + text.length() : text;
  }

  static void check(String name, Callable<Object> act) {
    String text;
    try {
      text = plain(act.call());
    } catch (AllNodesFailedException failure) {
      text = failure.getAllErrors().values().stream().flatMap(List::stream).map(each -> each.getClass().getSimpleName() + ": " + each.getMessage()).collect(Collectors.joining("; "));
    } catch (Exception failure) {
      text = failure.getClass().getSimpleName() + ": " + failure.getMessage();
    }
    checks += 1;
    out.println((name + " => " + text).replace("\n", " | "));
  }

  static void ask(String what) throws Exception {
    out.println("? " + what);
    in.readLine();
  }

  static ProgrammaticDriverConfigLoaderBuilder settings() {
    return DriverConfigLoader.programmaticBuilder().withDuration(DefaultDriverOption.REQUEST_TIMEOUT, Duration.ofSeconds(60)).withDuration(DefaultDriverOption.CONNECTION_INIT_QUERY_TIMEOUT, Duration.ofSeconds(60))
      .withDuration(DefaultDriverOption.CONNECTION_CONNECT_TIMEOUT, Duration.ofSeconds(60)).withDuration(DefaultDriverOption.CONNECTION_SET_KEYSPACE_TIMEOUT, Duration.ofSeconds(60)).withDuration(DefaultDriverOption.CONTROL_CONNECTION_TIMEOUT, Duration.ofSeconds(60))
      .withDuration(DefaultDriverOption.METADATA_SCHEMA_REQUEST_TIMEOUT, Duration.ofSeconds(60)).withDuration(DefaultDriverOption.CONTROL_CONNECTION_AGREEMENT_TIMEOUT, Duration.ofSeconds(60)).withDuration(DefaultDriverOption.METADATA_SCHEMA_WINDOW, Duration.ofMillis(50))
      .withString(DefaultDriverOption.RECONNECTION_POLICY_CLASS, "ConstantReconnectionPolicy").withDuration(DefaultDriverOption.RECONNECTION_BASE_DELAY, Duration.ofMillis(200)).withDuration(DefaultDriverOption.REQUEST_TRACE_INTERVAL, Duration.ofMillis(50))
      .withInt(DefaultDriverOption.REQUEST_TRACE_ATTEMPTS, 200).withDuration(DefaultDriverOption.REPREPARE_TIMEOUT, Duration.ofSeconds(60)).withInt(DefaultDriverOption.NETTY_IO_SIZE, 2).withInt(DefaultDriverOption.NETTY_ADMIN_SIZE, 1)
      .withInt(DefaultDriverOption.NETTY_IO_SHUTDOWN_QUIET_PERIOD, 0).withInt(DefaultDriverOption.NETTY_ADMIN_SHUTDOWN_QUIET_PERIOD, 0);
  }

  static CqlSession connect(ProgrammaticDriverConfigLoaderBuilder settings, boolean inKeyspace) {
    CqlSessionBuilder builder = CqlSession.builder().addContactPoint(new InetSocketAddress(host, port)).withLocalDatacenter(datacenter).withConfigLoader(settings.build());
    return inKeyspace ? builder.withKeyspace(CqlIdentifier.fromInternal(ks)).build() : builder.build();
  }

  static ResultSet run(String text, Object... values) {
    return session.execute(SimpleStatement.newInstance(text, values));
  }

  static PreparedStatement prepare(String text) {
    return session.prepare(text);
  }

  static String answer(ResultSet result) {
    return result.wasApplied() + " " + plain(result.all());
  }

  /** The driver's threads would outlive a failure. */
  public static void main(String[] args) {
    try {
      work(args);
      System.exit(0);
    } catch (Throwable failure) {
      failure.printStackTrace();
      System.exit(1);
    }
  }

  static void work(String[] args) throws Exception {
    host = args[0];
    port = Integer.parseInt(args[1]);
    ks = args[2];
    datacenter = args[3];
    if (args.length > 4) logIn(args[4], args[5], args[6]);
    session = connect(settings(), false);
    check("protocol is spoken", () -> session.getContext().getProtocolVersion().getCode() >= 4);
    session.close();
    session = connect(settings().withString(DefaultDriverOption.PROTOCOL_VERSION, "V4"), false);
    check("nodes", () -> session.getMetadata().getNodes().values().stream().map(node -> node.getEndPoint() + " " + node.getDatacenter() + " " + node.getState() + " " + node.getCassandraVersion()).toList());
    check("broadcast", () -> session.getMetadata().getNodes().values().stream().map(node -> node.getBroadcastRpcAddress().orElse(null)).toList());
    check("has tokens", () -> session.getMetadata().getTokenMap().get().getTokenRanges().size() > 0);
    check("partitioner", () -> session.getMetadata().getTokenMap().get().getPartitionerName());
    check("peers", () -> run("SELECT * FROM system.peers"));
    check("local", () -> run("SELECT key, data_center, partitioner FROM system.local WHERE key = 'local'"));
    check("local, prepared", () -> session.execute(prepare("SELECT key, bootstrapped FROM system.local WHERE key = ?").bind("local")));
    check("create keyspace", () -> run("CREATE KEYSPACE " + ks + " WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}"));
    check("use", () -> run("USE " + ks));
    check("keyspace in use", () -> session.getKeyspace().get().asInternal());
    String[][] definitions = {
      {"address", "CREATE TYPE address (street text, zip int, phones frozen<set<text>>)"},
      {"scalars", "CREATE TABLE scalars (k int PRIMARY KEY, a ascii, b bigint, bl blob, bo boolean, da date, de decimal, d double, du duration, f float, ip inet, i int, si smallint, t text, ti time, ts timestamp, tu timeuuid, tiny tinyint, u uuid, vi varint)"},
      {"nested", "CREATE TABLE nested (k int PRIMARY KEY, l list<int>, s set<text>, m map<text, int>, fl frozen<list<text>>, fm frozen<map<int, frozen<set<int>>>>, tp tuple<int, text, boolean>, ad address, fad frozen<address>, lad list<frozen<address>>, v vector<float, 3>)"},
      {"wide", "CREATE TABLE wide (k int, c int, v text, st text static, PRIMARY KEY (k, c))"},
      {"counts", "CREATE TABLE counts (k int PRIMARY KEY, n counter)"},
      {"cond", "CREATE TABLE cond (k int PRIMARY KEY, v text, w int)"},
      {"many", "CREATE TABLE many (k int PRIMARY KEY, v text)"},
    };
    for (String[] each : definitions) check("create " + each[0], () -> { ResultSet made = run(each[1]); return made.getExecutionInfo().isSchemaInAgreement() + " " + plain(made); });
    check("index", () -> run("CREATE INDEX wide_v ON wide (v)"));
    check("already there", () -> run("CREATE TABLE many (k int PRIMARY KEY)"));
    check("schema agreement", () -> session.checkSchemaAgreement());
    session.refreshSchema();
    check("tables known", () -> new TreeSet<>(session.getMetadata().getKeyspace(ks).get().getTables().keySet().stream().map(CqlIdentifier::asInternal).toList()));
    for (String name : List.of("scalars", "nested", "wide", "counts")) check("definition of " + name, () -> { TableMetadata table = session.getMetadata().getKeyspace(ks).get().getTable(name).get(); return table.describe(true).replaceAll("(?s)WITH .*", "") + table.getColumns().values().stream().map(each -> each.getName() + " " + each.getType().asCql(true, true)).toList(); });
    check("index known", () -> session.getMetadata().getKeyspace(ks).get().getTable("wide").get().getIndexes().keySet());
    check("type known", () -> session.getMetadata().getKeyspace(ks).get().getUserDefinedType("address").get().describe(false));
    check("replicas", () -> session.getMetadata().getTokenMap().get().getReplicas(ks, ByteBuffer.wrap(new byte[] {0, 0, 0, 1})).size());
    check("events of definitions", () -> {
      try (CqlSession other = connect(settings(), false)) {
        other.execute("ALTER TABLE " + ks + ".many ADD added int");
      }
      long deadline = System.nanoTime() + 30_000_000_000L;
      while (session.getMetadata().getKeyspace(ks).get().getTable("many").get().getColumns().size() < 3 && System.nanoTime() < deadline) Thread.sleep(20);
      return session.getMetadata().getKeyspace(ks).get().getTable("many").get().getColumns().keySet();
    });

    // Every type, both ways.
    Map<String, Object[]> scalars = new LinkedHashMap<>();
    scalars.put("a", new Object[] {"", "ascii"});
    scalars.put("b", new Object[] {Long.MIN_VALUE, Long.MAX_VALUE});
    scalars.put("bl", new Object[] {ByteBuffer.wrap(new byte[0]), ByteBuffer.wrap(new byte[] {0, -1, 1})});
    scalars.put("bo", new Object[] {true, false});
    scalars.put("da", new Object[] {LocalDate.parse("1969-12-31"), LocalDate.parse("2024-02-29")});
    scalars.put("de", new Object[] {new BigDecimal("-1.50"), new BigDecimal("1E+30"), new BigDecimal("1E-30")});
    scalars.put("d", new Object[] {1.5e300, Double.POSITIVE_INFINITY, -0.0, Double.NaN});
    scalars.put("du", new Object[] {CqlDuration.newInstance(1, 2, 3), CqlDuration.newInstance(-12, -400, -1_000_000_000_000_000L)});
    scalars.put("f", new Object[] {1.5f, Float.NEGATIVE_INFINITY});
    scalars.put("ip", new Object[] {InetAddress.getByName("10.1.2.3"), InetAddress.getByName("2001:db8::1")});
    scalars.put("i", new Object[] {Integer.MIN_VALUE, Integer.MAX_VALUE});
    scalars.put("si", new Object[] {Short.MIN_VALUE, Short.MAX_VALUE});
    scalars.put("t", new Object[] {"", "ü€𝄞", "x".repeat(100_000)});
    scalars.put("ti", new Object[] {LocalTime.MIN, LocalTime.MAX});
    scalars.put("ts", new Object[] {Instant.parse("2024-02-29T23:59:59.999Z"), Instant.ofEpochMilli(-1)});
    scalars.put("tu", new Object[] {UUID.fromString("a0d8e6c0-5f0a-11ee-8c99-0242ac120002")});
    scalars.put("tiny", new Object[] {Byte.MIN_VALUE, Byte.MAX_VALUE});
    scalars.put("u", new Object[] {new UUID(0, 1)});
    scalars.put("vi", new Object[] {BigInteger.ONE.shiftLeft(200).negate(), BigInteger.ZERO});
    int[] k = {0};
    for (Map.Entry<String, Object[]> column : scalars.entrySet()) {
      PreparedStatement put = prepare("INSERT INTO scalars (k, " + column.getKey() + ") VALUES (?, ?)"), get = prepare("SELECT " + column.getKey() + " FROM scalars WHERE k = ?");
      List<Object> values = new ArrayList<>(Arrays.asList(column.getValue()));
      values.add(null);
      for (Object value : values) {
        k[0] += 1;
        String shown = plain(value);
        check(column.getKey() + " " + shown.substring(0, Math.min(shown.length(), 40)), () -> { session.execute(put.bind(k[0], value)); return session.execute(get.bind(k[0])).one().getObject(0); });
      }
    }
    UserDefinedType address = session.getMetadata().getKeyspace(ks).get().getUserDefinedType("address").get();
    TupleType tuple = DataTypes.tupleOf(DataTypes.INT, DataTypes.TEXT, DataTypes.BOOLEAN);
    tuple.attach(session.getContext());
    Object[][] nested = {
      {"l", List.of(3, 1, 3)}, {"l", List.of()}, {"s", Set.of("a", "ü", "")}, {"m", new TreeMap<>(Map.of("a", 1, "b", -1))}, {"fl", List.of("a", "b", "a")}, {"fm", new TreeMap<>(Map.of(1, Set.of(1, 2), 2, Set.of()))}, {"tp", tuple.newValue(1, "x", null)},
      {"ad", address.newValue("st", 5, Set.of("1"))}, {"ad", address.newValue(null, 7, null)}, {"fad", address.newValue("frozen", null, Set.of())}, {"lad", List.of(address.newValue("a", 1, null), address.newValue("b", 2, Set.of("x")))}, {"v", CqlVector.newInstance(1.5f, -2f, 0.25f)}, {"m", null},
    };
    for (Object[] each : nested) {
      k[0] += 1;
      check(each[0] + " " + plain(each[1]), () -> { session.execute(prepare("INSERT INTO nested (k, " + each[0] + ") VALUES (?, ?)").bind(k[0], each[1])); return session.execute(prepare("SELECT " + each[0] + " FROM nested WHERE k = ?").bind(k[0])).one().getObject(0); });
    }
    Object[][] changes = {
      {"list", "UPDATE nested SET l = ? WHERE k = 1000", List.of(1, 2)}, {"append", "UPDATE nested SET l = l + ? WHERE k = 1000", List.of(3)}, {"prepend", "UPDATE nested SET l = ? + l WHERE k = 1000", List.of(0)}, {"element", "UPDATE nested SET l[?] = ? WHERE k = 1000", 1, 11},
      {"element deleted", "DELETE l[?] FROM nested WHERE k = 1000", 0}, {"set more", "UPDATE nested SET s = s + ? WHERE k = 1000", Set.of("q", "r")}, {"set less", "UPDATE nested SET s = s - ? WHERE k = 1000", Set.of("q")},
      {"map put", "UPDATE nested SET m[?] = ? WHERE k = 1000", "z", 9}, {"map less", "UPDATE nested SET m = m - ? WHERE k = 1000", Set.of("z")}, {"field", "UPDATE nested SET ad.zip = ? WHERE k = 1000", 12},
    };
    for (Object[] each : changes) check((String) each[0], () -> plain(session.execute(prepare((String) each[1]).bind(Arrays.copyOfRange(each, 2, each.length)))) + plain(run("SELECT l, s, m, ad FROM nested WHERE k = 1000")));

    // Null and unset, TTL and timestamps.
    PreparedStatement put = prepare("INSERT INTO wide (k, c, v) VALUES (:k, :c, :v)"), get = prepare("SELECT v, WRITETIME(v) AS at, TTL(v) AS ttl FROM wide WHERE k = ? AND c = ?");
    check("with a time to live", () -> { session.execute(prepare("INSERT INTO wide (k, c, v) VALUES (?, ?, ?) USING TTL ? AND TIMESTAMP ?").bind(1, 1, "ttl", 3600, 1234567L)); Row row = session.execute(get.bind(1, 1)).one(); return row.getString("v") + " " + row.getLong("at") + " " + (row.getInt("ttl") > 3400 && row.getInt("ttl") <= 3600); });
    check("unset leaves it", () -> { session.execute(put.boundStatementBuilder().setInt("k", 1).setInt("c", 1).build()); return session.execute(get.bind(1, 1)).one().getString("v"); });
    check("null deletes it", () -> { session.execute(put.bind(1, 1, null)); return session.execute(get.bind(1, 1)).one().getString("v"); });
    check("a timestamp of the request", () -> { session.execute(put.bind(1, 2, "timed").setQueryTimestamp(777)); return session.execute(get.bind(1, 2)).one().getLong("at"); });
    check("without a timestamp", () -> {
      try (CqlSession other = connect(settings().withString(DefaultDriverOption.TIMESTAMP_GENERATOR_CLASS, "ServerSideTimestampGenerator"), true)) {
        for (int n = 0; n < 10; n++) other.execute("INSERT INTO wide (k, c, v) VALUES (1, 3, 'v" + n + "')");
      }
      Row row = session.execute(get.bind(1, 3)).one();
      return row.getString("v") + " " + (Math.abs(row.getLong("at") / 1000 - System.currentTimeMillis()) < 120_000);
    });
    check("named, not prepared", () -> session.execute(SimpleStatement.newInstance("SELECT v FROM wide WHERE k = :k AND c = :c", Map.of("k", 1, "c", 2))));
    check("keyspace of the request", () -> session.execute(SimpleStatement.newInstance("SELECT v FROM wide WHERE k = 1 AND c = 2").setKeyspace(ks)));
    check("static", () -> plain(run("UPDATE wide SET st = 'static' WHERE k = 1")) + plain(run("SELECT k, c, st FROM wide WHERE k = 1")));

    // Batches, counters, conditions.
    for (BatchType kind : List.of(DefaultBatchType.LOGGED, DefaultBatchType.UNLOGGED)) {
      check("batch " + kind, () -> plain(session.execute(BatchStatement.newInstance(kind, put.bind(10, 1, "one"), SimpleStatement.newInstance("INSERT INTO wide (k, c, v) VALUES (10, ?, ?)", 2, "two"), SimpleStatement.newInstance("DELETE FROM wide WHERE k = 10 AND c = 7")))) + plain(run("SELECT c, v FROM wide WHERE k = 10")));
    }
    PreparedStatement add = prepare("UPDATE counts SET n = n + ? WHERE k = ?");
    check("counter batch", () -> plain(session.execute(BatchStatement.newInstance(DefaultBatchType.COUNTER, add.bind(1L, 1), add.bind(2L, 1), add.bind(-5L, 1)))) + plain(run("SELECT n FROM counts WHERE k = 1")));
    check("counter", () -> plain(session.execute(add.bind(40L, 2))) + plain(run("SELECT n FROM counts WHERE k = 2")));
    check("warnings", () -> {
      BatchStatement batch = BatchStatement.newInstance(DefaultBatchType.UNLOGGED);
      for (int each = 0; each < 12; each++) batch = batch.add(put.bind(100 + each, 1, "warned"));
      return session.execute(batch).getExecutionInfo().getWarnings();
    });
    check("payload", () -> session.execute(get.bind(10, 1).setCustomPayload(Map.of("name", ByteBuffer.wrap(new byte[] {1})))).getExecutionInfo().getIncomingPayload());
    PreparedStatement conditional = prepare("INSERT INTO cond (k, v, w) VALUES (?, ?, ?) IF NOT EXISTS");
    check("conditional: insert", () -> answer(session.execute(conditional.bind(1, "a", 1))));
    check("conditional: insert again", () -> answer(session.execute(conditional.bind(1, "b", 2))));
    check("conditional: update", () -> answer(run("UPDATE cond SET v = ? WHERE k = ? IF v = ?", "c", 1, "a")));
    check("conditional: update, no", () -> answer(run("UPDATE cond SET v = ? WHERE k = ? IF v = ?", "d", 1, "a")));
    check("conditional: delete", () -> answer(run("DELETE FROM cond WHERE k = 9 IF EXISTS")));
    check("conditional: batch", () -> answer(session.execute(BatchStatement.newInstance(DefaultBatchType.LOGGED, conditional.bind(2, "x", 1), SimpleStatement.newInstance("UPDATE cond SET w = 3 WHERE k = 2")))));
    check("serial read", () -> session.execute(SimpleStatement.newInstance("SELECT * FROM cond WHERE k = 2").setConsistencyLevel(DefaultConsistencyLevel.SERIAL)));
    check("local serial", () -> answer(session.execute(conditional.bind(3, "y", 1).setSerialConsistencyLevel(DefaultConsistencyLevel.LOCAL_SERIAL))));

    // Pages.
    for (int c = 0; c < 157; c++) session.execute(put.bind(50, c, "row " + c));
    BoundStatement pages = prepare("SELECT c FROM wide WHERE k = 50").bind().setPageSize(10);
    AsyncResultSet firstPage = session.executeAsync(pages).toCompletableFuture().get();
    ByteBuffer state = firstPage.getExecutionInfo().getPagingState();
    check("first page", () -> firstPage.remaining() + " " + firstPage.hasMorePages());
    check("all pages", () -> session.execute(pages.setPageSize(7)).all().size());
    check("from a state", () -> pageFrom(pages, state));
    check("the state is the statement's", () -> pages.setPagingState(firstPage.getExecutionInfo().getSafePagingState()).getPagingState() != null);
    check("group", () -> run("SELECT k, count(*), max(c) FROM wide WHERE k IN (50, 10) GROUP BY k"));
    check("columns of an empty result", () -> { List<String> names = new ArrayList<>(); run("SELECT c, v FROM wide WHERE k = 999").getColumnDefinitions().forEach(each -> names.add(each.getName().asInternal() + " " + each.getType())); return names; });

    // Errors.
    String[][] wrong = {
      {"syntax", "SELEC 1"}, {"no table", "SELECT * FROM nothing"}, {"no keyspace", "SELECT * FROM nowhere.nothing"}, {"no column", "SELECT nothing FROM wide"}, {"filtering", "SELECT * FROM wide WHERE c = 1"}, {"use", "USE nowhere_at_all"}, {"type", "INSERT INTO wide (k, c) VALUES ('a', 1)"},
    };
    for (String[] each : wrong) check("error: " + each[0], () -> run(each[1]));
    check("error: prepare", () -> prepare("SELECT nothing FROM wide"));
    check("unavailable", () -> session.execute(SimpleStatement.newInstance("SELECT * FROM wide WHERE k = 1").setConsistencyLevel(ConsistencyLevel.THREE)));
    check("unavailable to write", () -> session.execute(put.bind(1, 1, "x").setConsistencyLevel(ConsistencyLevel.TWO)));
    check("trace", () -> { QueryTrace trace = session.execute(get.bind(10, 1).setTracing(true)).getExecutionInfo().getQueryTrace(); return trace.getRequestType() + " " + !trace.getEvents().isEmpty(); });
    PreparedStatement star = prepare("SELECT * FROM many WHERE k = ?");
    run("INSERT INTO many (k, v) VALUES (-1, 'before')");
    check("before ALTER", () -> session.execute(star.bind(-1)));
    run("ALTER TABLE many ADD more int");
    check("after ALTER", () -> session.execute(star.bind(-1)).one().getString("v"));

    ask("half");
    check("after the switch: pages go on", () -> pageFrom(pages, state));
    check("after the switch: all pages", () -> session.execute(pages.setPageSize(7)).all().size());
    check("after the switch: prepared before", () -> { session.execute(put.bind(60, 1, "after")); return session.execute(get.bind(60, 1)).one().getString("v"); });
    check("after the switch: rows from before", () -> run("SELECT c, v FROM wide WHERE k = 10"));
    check("after the switch: counter", () -> plain(session.execute(add.bind(2L, 2))) + plain(run("SELECT n FROM counts WHERE k = 2")));
    check("after the switch: conditional", () -> answer(session.execute(conditional.bind(1, "no", 1))) + answer(session.execute(conditional.bind(70, "yes", 1))));
    check("after the switch: nested", () -> run("SELECT k, l, s, m, ad, fad, lad, tp, v FROM nested"));
    check("after the switch: scalars", () -> run("SELECT * FROM scalars").all().size());
    check("after the switch: definitions", () -> plain(run("CREATE TABLE later (k int PRIMARY KEY)")) + session.getMetadata().getKeyspace(ks).get().getTable("later").isPresent() + plain(run("DROP TABLE later")) + session.getMetadata().getKeyspace(ks).get().getTable("later").isPresent());

    ask("restart");
    check("after a restart", () -> {
      for (long deadline = System.nanoTime() + 60_000_000_000L; ; Thread.sleep(50)) {
        try {
          return session.execute(get.bind(60, 1)).one().getString("v");
        } catch (DriverException failure) {
          if (System.nanoTime() > deadline) throw failure;
        }
      }
    });
    check("after a restart: prepared before", () -> { session.execute(put.bind(62, 1, "again")); return session.execute(get.bind(62, 1)).one().getString("v"); });
    check("after a restart: a batch of prepared", () -> { session.execute(BatchStatement.newInstance(DefaultBatchType.LOGGED, put.bind(63, 1, "a"), put.bind(63, 2, "b"))); return run("SELECT c FROM wide WHERE k = 63"); });
    check("two thousand at once", () -> many(session, 2000, 0, 500));
    for (String compression : List.of("lz4", "snappy")) {
      check("compression " + compression, () -> {
        try (CqlSession other = connect(settings().withString(DefaultDriverOption.PROTOCOL_COMPRESSION, compression).withString(DefaultDriverOption.PROTOCOL_VERSION, "V4"), true)) {
          return many(other, 200, 10_000, 50) + plain(other.execute("SELECT v FROM many WHERE k IN (10001, 10199)")) + other.execute("SELECT t FROM scalars").all().stream().mapToInt(row -> row.isNull(0) ? 0 : row.getString(0).length()).sum();
        }
      });
    }
    check("speculative executions", () -> {
      try (CqlSession other = connect(settings().withString(DefaultDriverOption.SPECULATIVE_EXECUTION_POLICY_CLASS, "ConstantSpeculativeExecutionPolicy").withInt(DefaultDriverOption.SPECULATIVE_EXECUTION_MAX, 3).withDuration(DefaultDriverOption.SPECULATIVE_EXECUTION_DELAY, Duration.ofMillis(2)), true)) {
        for (int each = 0; each < 50; each++) other.execute(SimpleStatement.newInstance("INSERT INTO many (k, v) VALUES (?, ?)", 20_000 + each, "speculative").setIdempotent(true));
      }
      return run("SELECT count(*) FROM many");
    });
    check("protocol 3", () -> {
      try (CqlSession other = connect(settings().withString(DefaultDriverOption.PROTOCOL_VERSION, "V3"), true)) {
        other.execute(other.prepare("INSERT INTO many (k, v) VALUES (?, ?)").bind(30_000, "version 3"));
        return other.execute("SELECT v FROM many WHERE k = 30000");
      }
    });
    session.close();
    out.println("checks => " + checks);
  }

  /** Over TLS, with a name and a password, and with those that are refused. */
  static void logIn(String ca, String user, String password) throws Exception {
    KeyStore trusted = KeyStore.getInstance(KeyStore.getDefaultType());
    trusted.load(null);
    try (InputStream file = Files.newInputStream(Path.of(ca))) {
      trusted.setCertificateEntry("ca", CertificateFactory.getInstance("X.509").generateCertificate(file));
    }
    TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    trust.init(trusted);
    SSLContext tls = SSLContext.getInstance("TLS");
    tls.init(null, trust.getTrustManagers(), null);
    for (String name : List.of("right", "wrong", "nobody", "plain")) {
      CqlSessionBuilder builder = CqlSession.builder().addContactPoint(new InetSocketAddress(host, port)).withLocalDatacenter(datacenter)
        .withConfigLoader(settings().withDuration(DefaultDriverOption.CONNECTION_INIT_QUERY_TIMEOUT, Duration.ofSeconds(name.equals("plain") ? 2 : 60)).build());
      if (!name.equals("plain")) builder = builder.withSslContext(tls);
      if (!name.equals("nobody")) builder = builder.withAuthCredentials(user, name.equals("wrong") ? "wrong" : password);
      try (CqlSession own = builder.build()) {
        own.execute(own.prepare("INSERT INTO " + ks + ".t (k, v) VALUES (?, ?)").bind(1, name));
        out.println(name + " => " + own.execute("SELECT v FROM " + ks + ".t WHERE k = 1").one().getString("v"));
      } catch (AllNodesFailedException failure) {
        out.println((name + " => refused " + failure.getAllErrors().values()).replace("\n", " "));
      }
    }
    System.exit(0);
  }

  static String pageFrom(BoundStatement pages, ByteBuffer state) throws Exception {
    AsyncResultSet page = session.executeAsync(pages.setPagingState(state.duplicate())).toCompletableFuture().get();
    List<Integer> found = new ArrayList<>();
    page.currentPage().forEach(row -> found.add(row.getInt(0)));
    return found + " " + page.hasMorePages();
  }

  static String many(CqlSession on, int count, int from, int atOnce) throws Exception {
    PreparedStatement insert = on.prepare("INSERT INTO many (k, v) VALUES (?, ?)");
    Semaphore room = new Semaphore(atOnce);
    List<CompletionStage<AsyncResultSet>> all = new ArrayList<>();
    for (int each = 0; each < count; each++) {
      room.acquire();
      CompletionStage<AsyncResultSet> one = on.executeAsync(insert.bind(from + each, "v".repeat(each % 300)));
      one.whenComplete((result, failure) -> room.release());
      all.add(one);
    }
    for (CompletionStage<AsyncResultSet> each : all) each.toCompletableFuture().get();
    return count + " " + plain(on.execute("SELECT count(*) FROM many"));
  }
}
