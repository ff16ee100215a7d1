package server

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/sekisho-dev/sekisho/client"
	sekishov1 "github.com/sekisho-dev/sekisho/proto/sekisho/v1"
)

// inside are the sentinels that never cross the wire, and why; an error that wraps
// one of them and nothing else is Internal.
var inside = map[string]string{
	"verifier.ErrUnreadable":            "says in findings and in fsck why an entry counts for nothing",
	"verifier.ErrTimestamp":             "a bad token proves nothing and refuses nothing; in a trust root ErrTrustRoot stands around it",
	"verifier.ErrUnknownSigner":         "a belief: it is a reason of an answer",
	"verifier.ErrSignerBuilderMismatch": "likewise",
	"verifier.ErrKeyWindow":             "likewise",
	"verifier.ErrBuildType":             "likewise",
	"verifier.ErrSourceMismatch":        "likewise",
	"store.ErrPosition":                 "between follow and its index",
	"store.ErrLocked":                   "the service does not start",
	"store.ErrVersion":                  "the index is made again",
	"store.ErrInvalid":                  "a bug of ours",
	"store.ErrSize":                     "a bug of ours",
	"tlog.ErrLocked":                    "the service does not start",
	"tlog.ErrKey":                       "the service does not start",
}

// TestEverySentinelHasAnOutcome walks the source for exported errors: each has a row
// in the table, or a reason not to.
func TestEverySentinelHasAnOutcome(t *testing.T) {
	listed := map[string]bool{}
	for _, d := range parse(t, "errors.go").Decls {
		if _, ok := d.(*ast.GenDecl); !ok {
			continue // only the table counts
		}
		ast.Inspect(d, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok && strings.HasPrefix(s.Sel.Name, "Err") {
				listed[s.X.(*ast.Ident).Name+"."+s.Sel.Name] = true
			}
			return true
		})
	}
	found := 0
	for _, room := range []string{"attest", "verifier", "sbom", "policy", "sign", "store", "tlog", "server"} {
		err := filepath.WalkDir(filepath.Join("..", room), func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() && strings.HasSuffix(d.Name(), "test"): // storetest and its like
				return fs.SkipDir
			case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
				return nil
			}
			file := parse(t, path)
			for name := range exportedErrors(file) {
				found++
				if name = file.Name.Name + "." + name; listed[name] == (inside[name] != "") {
					t.Errorf("%s (%s): in the table of outcomes %v, kept inside %v; want exactly one", name, path, listed[name], inside[name] != "")
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if found < 40 {
		t.Errorf("%d exported errors found: the walk is lost", found)
	}
}

func parse(t *testing.T, path string) *ast.File {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// exportedErrors yields the names of a file's package-level variables Err….
func exportedErrors(f *ast.File) func(func(string) bool) {
	return func(yield func(string) bool) {
		for _, d := range f.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.VAR {
				continue
			}
			for _, s := range g.Specs {
				for _, n := range s.(*ast.ValueSpec).Names {
					if strings.HasPrefix(n.Name, "Err") && !yield(n.Name) {
						return
					}
				}
			}
		}
	}
}

// TestClientKnowsEveryReason: errors.Is works across the wire for every reason, and
// the client's list is the table's, in its order.
func TestClientKnowsEveryReason(t *testing.T) {
	var given []client.Reason
	for _, o := range outcomes {
		if r := client.Reason(o.reason); !slices.Contains(given, r) {
			given = append(given, r)
		}
	}
	if known := client.Reasons(); !slices.Equal(known, given) {
		t.Errorf("the client knows\n%v\nand the service gives\n%v", known, given)
	}
}

// TestEveryReasonIsInTheTable walks the source of both ports: what looks like a
// reason is one of the table, whoever gives it.
func TestEveryReasonIsInTheTable(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	like := regexp.MustCompile(`^"[A-Z][A-Za-z]*(_[A-Z]+)+"$|^"[A-Z]{4,}"$`)
	found := 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		ast.Inspect(parse(t, name), func(n ast.Node) bool {
			lit, ok := n.(*ast.BasicLit)
			if !ok || !like.MatchString(lit.Value) {
				return true
			}
			found++
			reason := strings.TrimSuffix(strings.Trim(lit.Value, `"`), "_")
			if !slices.Contains(client.Reasons(), client.Reason(reason)) {
				t.Errorf("%s: %s is no reason of the table", name, lit.Value)
			}
			return true
		})
	}
	if found < len(outcomes) {
		t.Errorf("%d reasons found: the walk is lost", found)
	}
}

// CVE-2024-24786, CVE-2023-24535: protojson looped or panicked over odd input. Every
// request of the JSON port is read by it.
func FuzzAdvisoryD11_ProtoJSON(f *testing.F) {
	for _, seed := range []string{
		`{"artifact":{"digest":{"sha256":"00"}},"minBuildLevel":2}`, `{"artifact":null}`, `{"":`, `{"@type":"x"}`, `[{}]`, `{"minBuildLevel":"2","minLogSize":1e3}`,
		`{"artifact":{"digest":{"a":"b","a":"c"}}}`, `{"requests":[{},{}]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		for _, m := range []proto.Message{&sekishov1.EvaluateDeploymentRequest{}, &sekishov1.BatchEvaluateDeploymentsRequest{}, &sekishov1.CreateAttestationRequest{}, &sekishov1.UploadSbomRequest{}} {
			if protojson.Unmarshal(in, m) != nil {
				continue
			}
			if _, err := sekishov1.JSON(m); err != nil {
				t.Errorf("read, and cannot be written: %v", err)
			}
		}
	})
}
