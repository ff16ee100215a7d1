package server

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
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
	if strict(w, r) {
		return
	}
	r = r.Clone(r.Context())
	if r.Method == http.MethodHead {
		r.Method = http.MethodGet
	}
	for _, name := range unforwarded {
		r.Header.Del(name)
	}
	g.mux.ServeHTTP(w, r)
}

func noSuchPath(w http.ResponseWriter, r *http.Request) {
	refuse(w, errNotFound, fmt.Sprintf("there is no %.200q here; /openapi.json says what there is", r.URL.Path))
}

func wrongMethod(w http.ResponseWriter, r *http.Request, allowed ...string) {
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	refuse(w, errMethodNotAllowed, fmt.Sprintf("%.200q takes %s, not %.20q", r.URL.Path, strings.Join(allowed, " or "), r.Method))
}

// unrouted answers what no path or method of the gateway fits.
func (g *gateway) unrouted(w http.ResponseWriter, r *http.Request, code int) {
	switch code {
	case http.StatusMethodNotAllowed:
		wrongMethod(w, r, g.allowed(r)...)
	case http.StatusNotFound:
		noSuchPath(w, r)
	default:
		refuse(w, errBadRequest, "the path cannot be read")
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
