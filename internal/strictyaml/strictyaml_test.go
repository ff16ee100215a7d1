package strictyaml

import (
	"errors"
	"strings"
	"testing"
	"time"
)

type doc struct {
	Pos  Pos           `yaml:"-"`
	Name string        `yaml:"name"`
	N    int           `yaml:"n"`
	Age  time.Duration `yaml:"age"`
	When *time.Time    `yaml:"when"`
	List []item        `yaml:"list"`
	Any  any           `yaml:"any"`
	Map  map[string]string
	M    map[string]item `yaml:"m"`
}

type item struct {
	Pos Pos    `yaml:"-"`
	ID  string `yaml:"id"`
}

func TestDecode(t *testing.T) {
	var d doc
	err := Decode([]byte("name: a\nn: 3\nage: 168h\nwhen: 2026-01-01T00:00:00Z\nlist:\n  - id: x\nany: {k: [1, true]}\nm: {a: {id: y}}\n"), &d)
	if err != nil {
		t.Fatal(err)
	}
	if d.Name != "a" || d.N != 3 || d.Age != 168*time.Hour || d.When == nil || d.M["a"].ID != "y" {
		t.Errorf("decoded %+v", d)
	}
	if got := d.List[0].Pos; got != (Pos{6, 5}) {
		t.Errorf("position of the item is %v, want 6:5", got)
	}
	if got := d.Any.(map[string]any)["k"].([]any)[1]; got != true {
		t.Errorf("any: %v", d.Any)
	}
}

func TestDecodeRefuses(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"empty":         {"", "empty"},
		"unknown key":   {"naem: a\n", `line 1, column 1: unknown key "naem"`},
		"nested":        {"list:\n  - idd: x\n", "line 2, column 5"},
		"duplicate":     {"name: a\nname: b\n", "line 2, column 1"},
		"wrong kind":    {"n: x\n", "line 1, column 4: want a int"},
		"quoted number": {"n: \"3\"\n", "want a int"},
		"number string": {"name: 3\n", "want a string"},
		"duration":      {"age: 7d\n", "168h"},
		"time":          {"when: soon\n", "2026-01-31"},
		"anchor":        {"name: &a b\n", "anchors"},
		"alias":         {"list: &l []\nany: *l\n", "anchors"},
		"merge":         {"<<: {name: a}\n", "plain string"},
		"documents":     {"name: a\n---\nname: b\n", "more than one"},
		"not a mapping": {"- a\n", "want a mapping"},
		"not a list":    {"list: {}\n", "want a list"},
		"syntax":        {"name: [\n", "invalid YAML"},
		"deep":          {"any: " + strings.Repeat("[", 40) + strings.Repeat("]", 40), "nested deeper"},
		"large":         {"name: " + strings.Repeat("a", MaxSize), "at most"},
	} {
		err := Decode([]byte(c.in), new(doc))
		if !errors.Is(err, ErrInvalid) && err == nil {
			t.Errorf("%s: accepted", name)
			continue
		}
		if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want ErrInvalid with %q", name, err, c.want)
		}
	}
}

func TestDecodeReportsAllFaults(t *testing.T) {
	err := Decode([]byte("a: 1\nn: x\nb: 2\n"), new(doc))
	if n := strings.Count(err.Error(), "\n"); n != 2 {
		t.Errorf("%d faults, want 3:\n%v", n+1, err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte("name: a\nlist: [{id: x}]\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := Decode(data, new(doc)); err != nil && !errors.Is(err, ErrInvalid) {
			t.Errorf("untyped error: %v", err)
		}
	})
}
