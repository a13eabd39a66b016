// The Go driver at work on a Cassandra cluster: `name => what came`, a line for each check. Arguments: host, port, keyspace to make, data centre.
// A line that begins with `?` asks for something to be done before the next line of input.
package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"net"
	"os"
	"reflect"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gocql/gocql"
	"github.com/pierrec/lz4/v4"
	"gopkg.in/inf.v0"
)

var (
	host, keyspace, datacenter string
	port, checks               int
	session                    *gocql.Session
	input                      = bufio.NewReader(os.Stdin)
)

// What the driver itself brings for another version of it: the length, big-endian, then a block.
type lz4Compressor struct{}

func (lz4Compressor) Name() string { return "lz4" }

func (lz4Compressor) Encode(data []byte) ([]byte, error) {
	out := make([]byte, lz4.CompressBlockBound(len(data))+4)
	binary.BigEndian.PutUint32(out, uint32(len(data)))
	length, err := lz4.CompressBlock(data, out[4:], nil)
	return out[:length+4], err
}

func (lz4Compressor) Decode(data []byte) ([]byte, error) {
	out := make([]byte, binary.BigEndian.Uint32(data))
	if len(out) == 0 {
		return out, nil
	}
	length, err := lz4.UncompressBlock(data[4:], out)
	return out[:length], err
}

func plain(value any) string {
	text := ""
	switch value := value.(type) {
	case nil:
		text = "nil"
	case []byte:
		text = fmt.Sprintf("0x%x", value)
	case *inf.Dec:
		text = value.String()
	case **inf.Dec:
		text = (*value).String()
	case *big.Int:
		text = value.String()
	case time.Time:
		text = value.UTC().Format(time.RFC3339Nano)
	case map[string]any:
		names := []string{}
		for name := range value {
			names = append(names, name)
		}
		sort.Strings(names)
		for _, name := range names {
			text += name + ": " + plain(value[name]) + ", "
		}
		text = "{" + strings.TrimSuffix(text, ", ") + "}"
	case []map[string]any:
		for _, each := range value {
			text += plain(each) + " "
		}
	default:
		if of := reflect.ValueOf(value); of.Kind() == reflect.Pointer {
			if of.IsNil() {
				return "nil"
			}
			return plain(of.Elem().Interface())
		}
		text = fmt.Sprintf("%v", value)
	}
	if len(text) > 1000 {
		text = text[:1000] + "… " + strconv.Itoa(len(text))
	}
	return strings.TrimSpace(text)
}

func check(name string, act func() (any, error)) {
	came, err := act()
	text := plain(came)
	if err != nil {
		text = fmt.Sprintf("%T: %v", err, err)
	}
	checks++
	fmt.Println(strings.ReplaceAll(name+" => "+text, "\n", " | "))
}

func ask(what string) {
	fmt.Println("? " + what)
	_, _ = input.ReadString('\n')
}

func settings(change func(*gocql.ClusterConfig)) *gocql.ClusterConfig {
	cluster := gocql.NewCluster(host)
	cluster.Port, cluster.ProtoVersion, cluster.NumConns = port, 4, 2
	cluster.Timeout, cluster.ConnectTimeout, cluster.MaxWaitSchemaAgreement = time.Minute, time.Minute, time.Minute
	cluster.ReconnectInterval, cluster.ReconnectionPolicy = 200*time.Millisecond, &gocql.ConstantReconnectionPolicy{MaxRetries: 300, Interval: 200 * time.Millisecond}
	cluster.PoolConfig.HostSelectionPolicy = gocql.TokenAwareHostPolicy(gocql.DCAwareRoundRobinPolicy(datacenter))
	cluster.Consistency, cluster.Logger = gocql.One, quiet{}
	if change != nil {
		change(cluster)
	}
	return cluster
}

type quiet struct{}

func (quiet) Print(...any)          {}
func (quiet) Printf(string, ...any) {}
func (quiet) Println(...any)        {}

func inKeyspace(cluster *gocql.ClusterConfig) { cluster.Keyspace = keyspace }

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func run(text string, values ...any) (any, error) {
	return "done", session.Query(text, values...).Exec()
}

func rows(text string, values ...any) (any, error) {
	return session.Query(text, values...).Iter().SliceMap()
}

func then(text string, values []any, query string) (any, error) {
	if err := session.Query(text, values...).Exec(); err != nil {
		return nil, err
	}
	return rows(query)
}

type address struct {
	Street *string  `cql:"street"`
	Zip    *int     `cql:"zip"`
	Phones []string `cql:"phones"`
}

func (a address) String() string { return plain(a.Street) + "/" + plain(a.Zip) + "/" + plain(a.Phones) }

func pointer[T any](value T) *T { return &value }

func pageFrom(state []byte) ([]int, []byte, error) {
	iter := session.Query("SELECT c FROM wide WHERE k = 50").PageSize(10).PageState(state).Iter()
	found, next := []int{}, iter.PageState()
	for c := 0; iter.NumRows() > len(found) && iter.Scan(&c); {
		found = append(found, c)
	}
	return found, next, iter.Close()
}

func insertMany(on *gocql.Session, from, count, atOnce int) (any, error) {
	room, wait, failures := make(chan bool, atOnce), sync.WaitGroup{}, make(chan error, count)
	for each := 0; each < count; each++ {
		room <- true
		wait.Add(1)
		go func() {
			defer wait.Done()
			if err := on.Query("INSERT INTO many (k, v) VALUES (?, ?)", from+each, strings.Repeat("v", each%300)).Exec(); err != nil {
				failures <- err
			}
			<-room
		}()
	}
	wait.Wait()
	if len(failures) > 0 {
		return nil, <-failures
	}
	found, length := 0, 0
	iter := on.Query("SELECT v FROM many").PageSize(100).Iter()
	for v := ""; iter.Scan(&v); found++ {
		length += len(v)
	}
	return []int{count, found, length}, iter.Close()
}

// Over TLS, with a name and a password, and with those that are refused.
func logIn(ca, user, password string) {
	tls := &gocql.SslOptions{CaPath: ca, EnableHostVerification: false}
	for _, each := range []struct {
		name string
		tls  *gocql.SslOptions
		auth gocql.Authenticator
	}{
		{"right", tls, gocql.PasswordAuthenticator{Username: user, Password: password}}, {"wrong", tls, gocql.PasswordAuthenticator{Username: user, Password: "wrong"}}, {"nobody", tls, nil},
		{"plain", nil, gocql.PasswordAuthenticator{Username: user, Password: password}},
	} {
		session, err := settings(func(cluster *gocql.ClusterConfig) {
			cluster.SslOpts, cluster.Authenticator, cluster.ConnectTimeout, cluster.Timeout = each.tls, each.auth, 20*time.Second, 20*time.Second
			if each.tls == nil {
				cluster.ConnectTimeout, cluster.Timeout = 2*time.Second, 2*time.Second
			}
		}).CreateSession()
		v := ""
		if err == nil {
			err = session.Query("INSERT INTO "+keyspace+".t (k, v) VALUES (?, ?)", 1, each.name).Exec()
		}
		if err == nil {
			err = session.Query("SELECT v FROM " + keyspace + ".t WHERE k = 1").Scan(&v)
		}
		if err != nil {
			v = "refused " + err.Error()
		}
		fmt.Println(strings.ReplaceAll(each.name+" => "+v, "\n", " "))
	}
}

func main() {
	host, keyspace, datacenter = os.Args[1], os.Args[3], os.Args[4]
	port = must(strconv.Atoi(os.Args[2]))
	if len(os.Args) > 5 {
		logIn(os.Args[5], os.Args[6], os.Args[7])
		return
	}
	check("protocol found by itself", func() (any, error) {
		other, err := settings(func(cluster *gocql.ClusterConfig) { cluster.ProtoVersion = 0 }).CreateSession()
		if err != nil {
			return nil, err
		}
		defer other.Close()
		key := ""
		err = other.Query("SELECT key FROM system.local").Scan(&key)
		return key, err
	})
	met, meeting := map[string]bool{}, sync.Mutex{}
	session = must(settings(func(cluster *gocql.ClusterConfig) {
		cluster.HostFilter = gocql.HostFilterFunc(func(each *gocql.HostInfo) bool {
			meeting.Lock()
			defer meeting.Unlock()
			met[fmt.Sprint(each.ConnectAddress(), " ", each.Port(), " ", each.DataCenter(), " ", each.ClusterName() != "", " ", each.Version(), " ", each.Partitioner(), " ", len(each.Tokens()) > 0)] = true
			return true
		})
	}).CreateSession())
	check("hosts", func() (any, error) {
		meeting.Lock()
		defer meeting.Unlock()
		return fmt.Sprint(met), nil
	})
	check("peers", func() (any, error) { return rows("SELECT * FROM system.peers") })
	check("local", func() (any, error) {
		return rows("SELECT key, data_center, partitioner FROM system.local WHERE key = ?", "local")
	})
	check("create keyspace", func() (any, error) {
		return run("CREATE KEYSPACE " + keyspace + " WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}")
	})
	check("use is refused by the driver", func() (any, error) { return run("USE " + keyspace) })
	session.Close()
	session = must(settings(inKeyspace).CreateSession())
	for _, each := range [][2]string{
		{"address", "CREATE TYPE address (street text, zip int, phones frozen<set<text>>)"},
		{"scalars", "CREATE TABLE scalars (k int PRIMARY KEY, a ascii, b bigint, bl blob, bo boolean, da date, de decimal, d double, du duration, f float, ip inet, i int, si smallint, t text, ti time, ts timestamp, tu timeuuid, tiny tinyint, u uuid, vi varint)"},
		{"nested", "CREATE TABLE nested (k int PRIMARY KEY, l list<int>, s set<text>, m map<text, int>, fl frozen<list<text>>, fm frozen<map<int, frozen<set<int>>>>, tp tuple<int, text, boolean>, ad address, fad frozen<address>, lad list<frozen<address>>)"},
		{"wide", "CREATE TABLE wide (k int, c int, v text, st text static, PRIMARY KEY (k, c))"},
		{"counts", "CREATE TABLE counts (k int PRIMARY KEY, n counter)"},
		{"cond", "CREATE TABLE cond (k int PRIMARY KEY, v text, w int)"},
		{"many", "CREATE TABLE many (k int PRIMARY KEY, v text)"},
	} {
		check("create "+each[0], func() (any, error) { return run(each[1]) })
	}
	check("already there", func() (any, error) { return run("CREATE TABLE many (k int PRIMARY KEY)") })
	check("schema agreement", func() (any, error) { return "agreed", session.AwaitSchemaAgreement(context.Background()) })
	check("definitions known", func() (any, error) {
		found, err := session.KeyspaceMetadata(keyspace)
		// The driver hears of a change, and reads it a second later.
		for deadline := time.Now().Add(time.Minute); err == nil && len(found.Tables) < 6 && time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
			found, err = session.KeyspaceMetadata(keyspace)
		}
		if err != nil {
			return nil, err
		}
		lines := []string{found.StrategyClass}
		for name, table := range found.Tables {
			for column, each := range table.Columns {
				lines = append(lines, fmt.Sprint(name, ".", column, " ", each.Type, " ", each.Kind))
			}
		}
		for name, each := range found.UserTypes {
			lines = append(lines, fmt.Sprint(name, each.FieldNames))
		}
		sort.Strings(lines)
		return lines, nil
	})

	// Every type, both ways.
	key := 0
	scalar := func(column string, into func() any, values ...any) {
		for _, value := range append(values, nil) {
			key++
			shown := plain(value)
			check(column+" "+shown[:min(len(shown), 40)], func() (any, error) {
				if err := session.Query("INSERT INTO scalars (k, "+column+") VALUES (?, ?)", key, value).Exec(); err != nil {
					return nil, err
				}
				came := into()
				err := session.Query("SELECT "+column+" FROM scalars WHERE k = ?", key).Scan(came)
				return came, err
			})
		}
	}
	scalar("a", func() any { return new(*string) }, "", "ascii")
	scalar("b", func() any { return new(*int64) }, int64(math.MinInt64), int64(math.MaxInt64))
	scalar("bl", func() any { return new([]byte) }, []byte{}, []byte{0, 255, 1})
	scalar("bo", func() any { return new(*bool) }, true, false)
	scalar("da", func() any { return new(*time.Time) }, time.Date(1969, 12, 31, 0, 0, 0, 0, time.UTC), time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC))
	scalar("de", func() any { return new(*inf.Dec) }, inf.NewDec(-150, 2), inf.NewDec(1, 30), inf.NewDec(1, -30))
	scalar("d", func() any { return new(*float64) }, 1.5e300, math.Inf(1), math.Copysign(0, -1))
	scalar("du", func() any { return new(*gocql.Duration) }, gocql.Duration{Months: 1, Days: 2, Nanoseconds: 3}, gocql.Duration{Months: -12, Days: -400, Nanoseconds: -1e15})
	scalar("f", func() any { return new(*float32) }, float32(1.5), float32(math.Inf(-1)))
	scalar("ip", func() any { return new(net.IP) }, net.ParseIP("10.1.2.3"), net.ParseIP("2001:db8::1"))
	scalar("i", func() any { return new(*int32) }, int32(math.MinInt32), int32(math.MaxInt32))
	scalar("si", func() any { return new(*int16) }, int16(math.MinInt16), int16(math.MaxInt16))
	scalar("t", func() any { return new(*string) }, "", "ü€𝄞", strings.Repeat("x", 100000))
	scalar("ti", func() any { return new(*time.Duration) }, time.Duration(0), 24*time.Hour-1)
	scalar("ts", func() any { return new(*time.Time) }, time.Date(2024, 2, 29, 23, 59, 59, 999e6, time.UTC), time.UnixMilli(-1))
	scalar("tu", func() any { return new(*gocql.UUID) }, must(gocql.ParseUUID("a0d8e6c0-5f0a-11ee-8c99-0242ac120002")))
	scalar("tiny", func() any { return new(*int8) }, int8(-128), int8(127))
	scalar("u", func() any { return new(*gocql.UUID) }, must(gocql.ParseUUID("00000000-0000-0000-0000-000000000001")))
	scalar("vi", func() any { return new(*big.Int) }, new(big.Int).Neg(new(big.Int).Lsh(big.NewInt(1), 200)), big.NewInt(0))
	nested := func(column string, into any, value any) {
		key++
		check(column+" "+plain(value), func() (any, error) {
			if err := session.Query("INSERT INTO nested (k, "+column+") VALUES (?, ?)", key, value).Exec(); err != nil {
				return nil, err
			}
			err := session.Query("SELECT "+column+" FROM nested WHERE k = ?", key).Scan(into)
			return into, err
		})
	}
	nested("l", new([]int), []int{3, 1, 3})
	nested("l", new([]int), []int{})
	nested("s", new([]string), []string{"a", "ü", ""})
	nested("m", new(map[string]int), map[string]int{"a": 1, "b": -1})
	nested("fl", new([]string), []string{"a", "b", "a"})
	nested("fm", new(map[int][]int), map[int][]int{1: {1, 2}, 2: {}})
	nested("ad", new(address), address{pointer("st"), pointer(5), []string{"1", "2"}})
	nested("ad", new(address), address{nil, pointer(7), nil})
	nested("fad", new(address), address{pointer("frozen"), nil, []string{}})
	nested("lad", new([]address), []address{{pointer("a"), pointer(1), nil}, {pointer("b"), pointer(2), []string{"x"}}})
	nested("m", new(map[string]int), nil)
	check("tp", func() (any, error) {
		if err := session.Query("INSERT INTO nested (k, tp) VALUES (900, (1, 'x', null))").Exec(); err != nil {
			return nil, err
		}
		var number *int
		var text *string
		var truth *bool
		err := session.Query("SELECT tp FROM nested WHERE k = 900").Scan(&number, &text, &truth)
		return []string{plain(number), plain(text), plain(truth)}, err
	})
	for _, each := range []struct {
		name, text string
		values     []any
	}{
		{"list", "UPDATE nested SET l = ? WHERE k = 1000", []any{[]int{1, 2}}}, {"append", "UPDATE nested SET l = l + ? WHERE k = 1000", []any{[]int{3}}}, {"prepend", "UPDATE nested SET l = ? + l WHERE k = 1000", []any{[]int{0}}},
		{"element", "UPDATE nested SET l[?] = ? WHERE k = 1000", []any{1, 11}}, {"element deleted", "DELETE l[?] FROM nested WHERE k = 1000", []any{0}}, {"set more", "UPDATE nested SET s = s + ? WHERE k = 1000", []any{[]string{"q", "r"}}},
		{"set less", "UPDATE nested SET s = s - ? WHERE k = 1000", []any{[]string{"q"}}}, {"map put", "UPDATE nested SET m[?] = ? WHERE k = 1000", []any{"z", 9}}, {"map less", "UPDATE nested SET m = m - ? WHERE k = 1000", []any{[]string{"z"}}},
		{"field", "UPDATE nested SET ad.zip = ? WHERE k = 1000", []any{12}},
	} {
		check(each.name, func() (any, error) {
			return then(each.text, each.values, "SELECT l, s, m, ad FROM nested WHERE k = 1000")
		})
	}

	// Null and unset, TTL and timestamps.
	const put, get = "INSERT INTO wide (k, c, v) VALUES (?, ?, ?)", "SELECT v FROM wide WHERE k = ? AND c = ?"
	check("with a time to live", func() (any, error) {
		if err := session.Query("INSERT INTO wide (k, c, v) VALUES (?, ?, ?) USING TTL ? AND TIMESTAMP ?", 1, 1, "ttl", 3600, 1234567).Exec(); err != nil {
			return nil, err
		}
		v, at, ttl := "", int64(0), 0
		err := session.Query("SELECT v, WRITETIME(v), TTL(v) FROM wide WHERE k = 1 AND c = 1").Scan(&v, &at, &ttl)
		return fmt.Sprint(v, at, ttl > 3400 && ttl <= 3600), err
	})
	check("unset leaves it", func() (any, error) {
		return then(put, []any{1, 1, gocql.UnsetValue}, "SELECT v FROM wide WHERE k = 1 AND c = 1")
	})
	check("null deletes it", func() (any, error) { return then(put, []any{1, 1, nil}, "SELECT v FROM wide WHERE k = 1 AND c = 1") })
	check("a timestamp of the request", func() (any, error) {
		if err := session.Query(put, 1, 2, "timed").WithTimestamp(777).Exec(); err != nil {
			return nil, err
		}
		return rows("SELECT v, WRITETIME(v) AS at FROM wide WHERE k = 1 AND c = 2")
	})
	check("without a timestamp", func() (any, error) {
		for n := 0; n < 10; n++ {
			if err := session.Query(put, 1, 3, fmt.Sprint("v", n)).DefaultTimestamp(false).Exec(); err != nil {
				return nil, err
			}
		}
		v, at := "", int64(0)
		err := session.Query("SELECT v, WRITETIME(v) FROM wide WHERE k = 1 AND c = 3").Scan(&v, &at)
		return fmt.Sprint(v, math.Abs(float64(at/1000-time.Now().UnixMilli())) < 120000), err
	})
	check("named", func() (any, error) {
		return rows("SELECT v FROM wide WHERE k = :k AND c = :c", gocql.NamedValue("k", 1), gocql.NamedValue("c", 2))
	})
	check("static", func() (any, error) {
		return then("UPDATE wide SET st = 'static' WHERE k = 1", nil, "SELECT k, c, st FROM wide WHERE k = 1")
	})

	// Batches, counters, conditions.
	check("batch logged", func() (any, error) {
		batch := session.NewBatch(gocql.LoggedBatch)
		batch.Query(put, 10, 1, "one")
		batch.Query("INSERT INTO wide (k, c, v) VALUES (10, 2, 'two')")
		if err := session.ExecuteBatch(batch); err != nil {
			return nil, err
		}
		return rows("SELECT c, v FROM wide WHERE k = 10")
	})
	check("batch unlogged", func() (any, error) {
		batch := session.NewBatch(gocql.UnloggedBatch)
		for each := 0; each < 12; each++ {
			batch.Query(put, 100+each, 1, "warned")
		}
		if err := session.ExecuteBatch(batch); err != nil {
			return nil, err
		}
		return rows("SELECT v FROM wide WHERE k IN (100, 111)")
	})
	const add = "UPDATE counts SET n = n + ? WHERE k = ?"
	check("counter batch", func() (any, error) {
		batch := session.NewBatch(gocql.CounterBatch)
		for _, each := range []int{1, 2, -5} {
			batch.Query(add, each, 1)
		}
		if err := session.ExecuteBatch(batch); err != nil {
			return nil, err
		}
		return rows("SELECT n FROM counts WHERE k = 1")
	})
	check("counter", func() (any, error) { return then(add, []any{40, 2}, "SELECT n FROM counts WHERE k = 2") })
	check("payload", func() (any, error) {
		iter := session.Query(get, 10, 1).CustomPayload(map[string][]byte{"name": {1}}).Iter()
		payload, warnings := iter.GetCustomPayload(), iter.Warnings()
		return fmt.Sprint(len(payload), len(warnings)), iter.Close()
	})
	conditional := func(text string, values ...any) func() (any, error) {
		return func() (any, error) {
			found := map[string]any{}
			applied, err := session.Query(text, values...).MapScanCAS(found)
			return fmt.Sprint(applied, " ", plain(found)), err
		}
	}
	const ifNot = "INSERT INTO cond (k, v, w) VALUES (?, ?, ?) IF NOT EXISTS"
	check("conditional: insert", conditional(ifNot, 1, "a", 1))
	check("conditional: insert again", conditional(ifNot, 1, "b", 2))
	check("conditional: update", conditional("UPDATE cond SET v = ? WHERE k = ? IF v = ?", "c", 1, "a"))
	check("conditional: update, no", conditional("UPDATE cond SET v = ? WHERE k = ? IF v = ?", "d", 1, "a"))
	check("conditional: delete", conditional("DELETE FROM cond WHERE k = ? IF EXISTS", 9))
	check("conditional: batch", func() (any, error) {
		batch := session.NewBatch(gocql.LoggedBatch)
		batch.Query(ifNot, 2, "x", 1)
		batch.Query("UPDATE cond SET w = 3 WHERE k = ?", 2)
		applied, _, err := session.MapExecuteBatchCAS(batch, map[string]any{})
		return applied, err
	})
	check("serial read", func() (any, error) {
		return session.Query("SELECT * FROM cond WHERE k = 2").Consistency(gocql.Consistency(gocql.Serial)).Iter().SliceMap()
	})
	check("local serial", func() (any, error) {
		return session.Query(ifNot, 3, "y", 1).SerialConsistency(gocql.LocalSerial).MapScanCAS(map[string]any{})
	})

	// Pages.
	for c := 0; c < 157; c++ {
		must(run(put, 50, c, fmt.Sprint("row ", c)))
	}
	first, state, err := pageFrom(nil)
	check("first page", func() (any, error) { return fmt.Sprint(first, len(state) > 0), err })
	check("from a state", func() (any, error) { page, _, err := pageFrom(state); return page, err })
	allPages := func() (any, error) {
		count, sum := 0, 0
		iter := session.Query("SELECT c FROM wide WHERE k = 50").PageSize(7).Prefetch(0.5).Iter()
		for c := 0; iter.Scan(&c); count++ {
			sum += c
		}
		return []int{count, sum}, iter.Close()
	}
	check("all pages", allPages)
	check("scanner", func() (any, error) {
		scanner, count := session.Query("SELECT k FROM wide").PageSize(5).Iter().Scanner(), 0
		for scanner.Next() {
			count++
		}
		return count, scanner.Err()
	})

	// Errors.
	for _, each := range [][2]string{
		{"syntax", "SELEC 1"}, {"no table", "SELECT * FROM nothing"}, {"no keyspace", "SELECT * FROM nowhere.nothing"}, {"no column", "SELECT nothing FROM wide"}, {"filtering", "SELECT * FROM wide WHERE c = 1"}, {"type", "INSERT INTO wide (k, c) VALUES ('a', 1)"},
	} {
		check("error: "+each[0], func() (any, error) { return run(each[1]) })
	}
	check("error: value", func() (any, error) { return run(put, 1, "x", "y") })
	check("error: no such keyspace", func() (any, error) {
		_, err := settings(func(cluster *gocql.ClusterConfig) { cluster.Keyspace = "nowhere_at_all" }).CreateSession()
		return nil, err
	})
	check("unavailable", func() (any, error) {
		return nil, session.Query("SELECT * FROM wide WHERE k = 1").Consistency(gocql.Three).RetryPolicy(&gocql.SimpleRetryPolicy{NumRetries: 0}).Exec()
	})
	check("unavailable to write", func() (any, error) {
		return nil, session.Query(put, 1, 1, "x").Consistency(gocql.Two).RetryPolicy(&gocql.SimpleRetryPolicy{NumRetries: 0}).Exec()
	})
	check("trace", func() (any, error) {
		seen := make(chan bool, 1)
		err := session.Query(get, 10, 1).Trace(tracer(seen)).Exec()
		return <-seen, err
	})

	ask("half")
	check("after the switch: pages go on", func() (any, error) { page, _, err := pageFrom(state); return page, err })
	check("after the switch: all pages", allPages)
	check("after the switch: prepared before", func() (any, error) { return then(put, []any{60, 1, "after"}, "SELECT v FROM wide WHERE k = 60") })
	check("after the switch: rows from before", func() (any, error) { return rows("SELECT c, v FROM wide WHERE k = 10") })
	check("after the switch: counter", func() (any, error) { return then(add, []any{2, 2}, "SELECT n FROM counts WHERE k = 2") })
	check("after the switch: conditional", conditional(ifNot, 1, "no", 1))
	check("after the switch: another", conditional(ifNot, 70, "yes", 1))
	check("after the switch: nested", func() (any, error) { return rows("SELECT l, s, m, ad FROM nested WHERE k = 1000") })
	check("after the switch: scalars", func() (any, error) {
		found, err := session.Query("SELECT * FROM scalars").Iter().SliceMap()
		return len(found), err
	})
	check("after the switch: batch", func() (any, error) {
		batch := session.NewBatch(gocql.LoggedBatch)
		batch.Query(put, 61, 1, "one")
		batch.Query(put, 61, 2, "two")
		if err := session.ExecuteBatch(batch); err != nil {
			return nil, err
		}
		return rows("SELECT c, v FROM wide WHERE k = 61")
	})
	check("after the switch: definitions", func() (any, error) { return then("CREATE TABLE later (k int PRIMARY KEY)", nil, "SELECT * FROM later") })

	ask("restart")
	check("after a restart", func() (any, error) {
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
			v := ""
			if err := session.Query(get, 60, 1).Scan(&v); err == nil || time.Now().After(deadline) {
				return v, err
			}
		}
	})
	check("after a restart: prepared before", func() (any, error) { return then(put, []any{62, 1, "again"}, "SELECT v FROM wide WHERE k = 62") })
	check("after a restart: batch", func() (any, error) {
		batch := session.NewBatch(gocql.LoggedBatch)
		batch.Query(put, 63, 1, "a")
		batch.Query(put, 63, 2, "b")
		if err := session.ExecuteBatch(batch); err != nil {
			return nil, err
		}
		return rows("SELECT c FROM wide WHERE k = 63")
	})
	check("two thousand at once", func() (any, error) { return insertMany(session, 0, 2000, 500) })
	for _, compressor := range []gocql.Compressor{gocql.SnappyCompressor{}, lz4Compressor{}} {
		check("compression "+compressor.Name(), func() (any, error) {
			other, err := settings(func(cluster *gocql.ClusterConfig) { cluster.Compressor, cluster.Keyspace = compressor, keyspace }).CreateSession()
			if err != nil {
				return nil, err
			}
			defer other.Close()
			return insertMany(other, 10000, 200, 50)
		})
	}
	check("protocol 3", func() (any, error) {
		other, err := settings(func(cluster *gocql.ClusterConfig) { cluster.ProtoVersion, cluster.Keyspace = 3, keyspace }).CreateSession()
		if err != nil {
			return nil, err
		}
		defer other.Close()
		if err := other.Query("INSERT INTO many (k, v) VALUES (?, ?)", 30000, "version 3").Exec(); err != nil {
			return nil, err
		}
		return other.Query("SELECT v FROM many WHERE k = 30000").Iter().SliceMap()
	})
	session.Close()
	fmt.Println("checks =>", checks)
}

type tracer chan bool

func (t tracer) Trace(id []byte) { t <- len(id) == 16 }
