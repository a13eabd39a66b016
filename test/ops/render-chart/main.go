// Renders a chart's templates as Helm does, with the template engine that is Helm's own (Go's text/template) and those of its functions that our chart uses.
// In: {"templates": {"name": "text"}, "values": {}, "chart": {}, "release": {}}. Out: what each template gives, one after the other.
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sort"
	"strconv"
	"strings"
	"text/template"
)

type chart struct {
	Templates map[string]string `json:"templates"`
	Values    map[string]any    `json:"values"`
	Chart     map[string]any    `json:"chart"`
	Release   map[string]any    `json:"release"`
}

func isEmpty(value any) bool {
	truth, _ := template.IsTrue(value)
	return !truth
}

func dict(pairs ...any) map[string]any {
	made := map[string]any{}
	for at := 0; at+1 < len(pairs); at += 2 {
		made[fmt.Sprint(pairs[at])] = pairs[at+1]
	}
	return made
}

// In blocks, as Helm writes it: a template may go on after it at the same level.
func toYaml(value any) (string, error) {
	lines, err := yamlLines(value)
	return strings.Join(lines, "\n"), err
}

func yamlLines(value any) ([]string, error) {
	lines := []string{}
	switch given := value.(type) {
	case map[string]any:
		if len(given) == 0 {
			return []string{"{}"}, nil
		}
		keys := []string{}
		for key := range given {
			keys = append(keys, key)
		}
		sort.Strings(keys)
		for _, key := range keys {
			of, err := yamlLines(given[key])
			if err != nil {
				return nil, err
			}
			switch inner := given[key].(type) {
			case map[string]any:
				if len(inner) > 0 {
					lines = append(lines, key+":")
					for _, line := range of {
						lines = append(lines, "  "+line)
					}
					continue
				}
			case []any:
				if len(inner) > 0 {
					lines = append(append(lines, key+":"), of...)
					continue
				}
			}
			lines = append(lines, key+": "+of[0])
		}
		return lines, nil
	case []any:
		if len(given) == 0 {
			return []string{"[]"}, nil
		}
		for _, item := range given {
			of, err := yamlLines(item)
			if err != nil {
				return nil, err
			}
			for at, line := range of {
				if at == 0 {
					lines = append(lines, "- "+line)
				} else {
					lines = append(lines, "  "+line)
				}
			}
		}
		return lines, nil
	default:
		// JSON's scalars are YAML's.
		var out bytes.Buffer
		encoder := json.NewEncoder(&out)
		encoder.SetEscapeHTML(false)
		err := encoder.Encode(value)
		return []string{strings.TrimSuffix(out.String(), "\n")}, err
	}
}

func indent(spaces int, text string) string {
	pad := strings.Repeat(" ", spaces)
	return pad + strings.ReplaceAll(text, "\n", "\n"+pad)
}

func run() error {
	var given chart
	if err := json.NewDecoder(os.Stdin).Decode(&given); err != nil {
		return err
	}
	all := template.New("chart").Option("missingkey=zero")
	all.Funcs(template.FuncMap{
		"include": func(name string, data any) (string, error) {
			var out bytes.Buffer
			err := all.ExecuteTemplate(&out, name, data)
			return out.String(), err
		},
		"toYaml":  toYaml,
		"nindent": func(spaces int, text string) string { return "\n" + indent(spaces, text) },
		"quote":   func(value any) string { return strconv.Quote(fmt.Sprint(value)) },
		"upper":   strings.ToUpper,
		"default": func(otherwise, value any) any {
			if isEmpty(value) {
				return otherwise
			}
			return value
		},
		"required": func(message string, value any) (any, error) {
			if value == nil || value == "" {
				return nil, errors.New(message)
			}
			return value, nil
		},
		"fail": func(message string) (string, error) { return "", errors.New(message) },
		"dict": dict,
		"list": func(values ...any) []any { return values },
		"concat": func(lists ...[]any) []any {
			joined := []any{}
			for _, each := range lists {
				joined = append(joined, each...)
			}
			return joined
		},
		// What stands first wins.
		"merge": func(into map[string]any, others ...map[string]any) map[string]any {
			for _, other := range others {
				for key, value := range other {
					if _, isThere := into[key]; !isThere {
						into[key] = value
					}
				}
			}
			return into
		},
		"int":       func(value any) int { number, _ := strconv.ParseFloat(fmt.Sprint(value), 64); return int(number) },
		"sha256sum": func(text string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(text))) },
	})
	names := []string{}
	for name, text := range given.Templates {
		if _, err := all.New(name).Parse(text); err != nil {
			return err
		}
		if !strings.HasPrefix(name, "_") {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	for _, name := range names {
		fmt.Printf("---\n# %s\n", name)
		if err := all.ExecuteTemplate(os.Stdout, name, map[string]any{"Values": given.Values, "Chart": given.Chart, "Release": given.Release}); err != nil {
			return err
		}
		fmt.Println()
	}
	return nil
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
