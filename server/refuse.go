package server

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"github.com/grpc-ecosystem/grpc-gateway/v2/utilities"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// allowing has a handler asked by GET and HEAD only.
func allowing(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			wrongMethod(w, r, http.MethodGet, http.MethodHead)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// ServeHTTP serves the API. HEAD is GET of which net/http sends the head only.
func (g *gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodHead {
		r = r.Clone(r.Context())
		r.Method = http.MethodGet
	}
	g.mux.ServeHTTP(w, r)
}

func noSuchPath(w http.ResponseWriter, r *http.Request) {
	writeBody(w, http.StatusNotFound, codes.NotFound, "NOT_FOUND", fmt.Sprintf("there is no %.200q here; /openapi.json says what there is", r.URL.Path))
}

func wrongMethod(w http.ResponseWriter, r *http.Request, allowed ...string) {
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	writeBody(w, http.StatusMethodNotAllowed, codes.Unimplemented, "METHOD_NOT_ALLOWED",
		fmt.Sprintf("%.200q takes %s, not %.20q", r.URL.Path, strings.Join(allowed, " or "), r.Method))
}

// unrouted answers what no path or method of the gateway fits.
func (g *gateway) unrouted(w http.ResponseWriter, r *http.Request, code int) {
	switch code {
	case http.StatusMethodNotAllowed:
		wrongMethod(w, r, g.allowed(r)...)
	case http.StatusNotFound:
		noSuchPath(w, r)
	default:
		writeBody(w, code, codes.InvalidArgument, "BAD_REQUEST", "the path cannot be read: "+http.StatusText(code))
	}
}

// allowed are the methods that a path takes: those of the API's own description.
func (g *gateway) allowed(r *http.Request) []string {
	segments := strings.Split(r.URL.Path, "/")
	for template, methods := range g.paths {
		if slices.EqualFunc(strings.Split(template, "/"), segments, func(want, s string) bool { return want == s || strings.HasPrefix(want, "{") }) {
			return methods
		}
	}
	return []string{http.MethodGet, http.MethodHead} // of :bundle, which the description does not have
}

// described reads from the API's description which methods each path takes.
func described(openAPI []byte) (map[string][]string, error) {
	var d struct {
		Paths map[string]map[string]json.RawMessage `json:"paths"`
	}
	if err := json.Unmarshal(openAPI, &d); err != nil {
		return nil, fmt.Errorf("reading the API's description: %w", err)
	}
	paths := map[string][]string{}
	for path, operations := range d.Paths {
		for method := range operations {
			if method == "get" {
				paths[path] = append(paths[path], http.MethodHead)
			}
			paths[path] = append(paths[path], strings.ToUpper(method))
		}
		slices.Sort(paths[path])
	}
	return paths, nil
}

// strictQuery refuses a query parameter that a request does not have: a filter that
// is misspelt must not be a filter less.
type strictQuery struct{ runtime.DefaultQueryParser }

func (q *strictQuery) Parse(m proto.Message, values url.Values, filter *utilities.DoubleArray) error {
	fields := m.ProtoReflect().Descriptor().Fields()
	for name := range values {
		top, _, _ := strings.Cut(name, ".")
		if fields.ByJSONName(top) != nil || fields.ByTextName(top) != nil {
			continue
		}
		var known []string
		for i := range fields.Len() {
			known = append(known, fields.Get(i).JSONName())
		}
		return fmt.Errorf("there is no parameter %.80q; known here: %s", name, strings.Join(known, ", "))
	}
	return q.DefaultQueryParser.Parse(m, values, filter)
}

// tooLarge is what net/http says of a request that is.
var tooLarge = (&http.MaxBytesError{}).Error()

// ofGateway gives a status that was made by the gateway, or by grpc under it, the
// reason that ours have.
func ofGateway(s *status.Status) (*status.Status, string) {
	switch {
	case strings.HasSuffix(s.Message(), tooLarge):
		return status.New(codes.ResourceExhausted, fmt.Sprintf("the request has more than %d MiB; documents have at most 16 MiB", maxMessage>>20)), "DOCUMENT_TOO_LARGE"
	case s.Code() == codes.InvalidArgument:
		return status.New(s.Code(), "the request cannot be read: "+s.Message()+"; /openapi.json says what it may hold"), "BAD_REQUEST"
	case s.Code() == codes.Unavailable:
		return s, "SHUTTING_DOWN"
	}
	return s, s.Code().String()
}
