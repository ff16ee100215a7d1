package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"google.golang.org/grpc/status"
)

// withConn lets a request find the connection that it came over.
func withConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey, connUnder(c))
}

// admitting does for the JSON port what the tap does for gRPC: who is calling, and
// whether they may, is asked before a byte of the body is read, and what a large body
// or answer takes is taken from the budget first.
func (s *Server) admitting(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		method := s.gateway.method(r)
		if r.Method != http.MethodPost || method == "" {
			// Nothing here reads a body. The request is another one, so that net/http still
			// knows of the body that it has not read.
			leave(w, r)
			r = r.WithContext(r.Context())
			r.Body, r.ContentLength = http.NoBody, 0
		}
		if method == "" {
			next.ServeHTTP(w, r)
			return
		}
		c := &call{Context: r.Context(), method: method, gateway: true}
		refuse := func(err error) {
			leave(w, r)
			err = toStatus(c, s.c.Logger, err)
			s.metrics.refused(method, err)
			writeStatus(w, status.Convert(err))
		}
		authorization, err := bearer(r.Header["Authorization"])
		if err == nil {
			err = s.authorize(c, authorization)
		}
		if err != nil {
			refuse(err)
			return
		}
		if conn, _ := c.Value(connKey).(*conn); conn != nil && c.caller.Subject != "" {
			conn.mu.Lock()
			conn.recognise(c.caller)
			conn.mu.Unlock()
		}
		received, err := s.budget.body(c, r)
		if err != nil {
			refuse(err)
			return
		}
		defer received.release()
		loaded, err := s.budget.load(c)
		if err != nil {
			refuse(err)
			return
		}
		defer loaded.release()
		out := &weighedWriter{ResponseWriter: w, budget: s.budget, call: c, received: received, loaded: loaded, refuse: refuse}
		defer func() { out.unsent.release() }()
		next.ServeHTTP(out, r)
	})
}

// leave ends the connection after an answer for which a body was announced that nobody
// reads; and soon, if the other side is slow to send it.
func leave(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength == 0 {
		return
	}
	w.Header().Set("Connection", "close")
	if conn, _ := r.Context().Value(connKey).(*conn); conn != nil {
		http.NewResponseController(w).SetReadDeadline(conn.listener.now().Add(time.Second)) //nolint:errcheck // it is a courtesy
	}
}

// body takes what a body takes that is read, decoded and sent on. A body that does
// not say how long it is may be small, and is asked.
func (b *budget) body(c *call, r *http.Request) (*hold, error) {
	size := r.ContentLength
	if size < 0 {
		first, err := io.ReadAll(io.LimitReader(r.Body, smallMessage+1))
		if err != nil {
			return nil, fmt.Errorf("%w: the body cannot be read", errBadRequest)
		}
		r.Body = readCloser{io.MultiReader(bytes.NewReader(first), r.Body), r.Body}
		if size = int64(len(first)); size > smallMessage {
			size = maxMessage
		}
	}
	if size <= smallMessage {
		return nil, nil
	}
	from := b.receiving
	switch {
	case asking(c.method):
		from = b.answers
	case size > middling:
		from = b.arriving
	}
	return from.take(c, account(c.caller), timesJSON*min(size, maxMessage))
}

type readCloser struct {
	io.Reader
	io.Closer
}

// load takes what it takes to answer with a document, as a message and as JSON.
func (b *budget) load(c *call) (*hold, error) {
	n := loading(c.method)
	if n == 0 {
		return nil, nil
	}
	return b.working.take(c, account(c.caller), 2*n*maxMessage)
}

// A weighedWriter takes what a large answer needs until the other side has taken it,
// in place of what it took to make it.
type weighedWriter struct {
	http.ResponseWriter
	budget   *budget
	call     *call
	received *hold
	loaded   *hold
	unsent   *hold
	begun    bool
	refuse   func(error)
}

// Unwrap is for net/http.
func (w *weighedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader begins the answer.
func (w *weighedWriter) WriteHeader(code int) {
	w.begun = true
	w.ResponseWriter.WriteHeader(code)
}

// Write writes; the gateway writes an answer in one piece.
func (w *weighedWriter) Write(b []byte) (int, error) {
	// The question is answered; and who takes of one pool twice could wait for himself.
	w.received.release()
	if !w.begun && len(b) > smallMessage && w.unsent == nil {
		from := w.budget.unsent
		if asking(w.call.method) {
			from = w.budget.answers
		}
		h, err := from.take(context.Background(), account(w.call.caller), int64(len(b)))
		if err != nil {
			w.refuse(err)
			return 0, fmt.Errorf("answering: %w", err)
		}
		w.unsent = h
	}
	w.loaded.release() // it is made; what is still to be done may take the other side long
	w.begun = true
	return w.ResponseWriter.Write(b)
}

// method is the full name of the method that a request is for, as the API's own
// description has it; "" if it is for none.
func (g *gateway) method(r *http.Request) string {
	verb := r.Method
	if verb == http.MethodHead {
		verb = http.MethodGet
	}
	segments := strings.Split(r.URL.Path, "/")
	for _, o := range g.operations[verb] {
		if o.matches(segments) {
			return o.method
		}
	}
	return ""
}

// An operation is a path of the API and the method behind it.
type operation struct {
	path   []string
	method string
}

func (o *operation) matches(segments []string) bool {
	if len(segments) != len(o.path) {
		return false
	}
	for i, s := range segments {
		if o.path[i] != s && !strings.HasPrefix(o.path[i], "{") {
			return false
		}
	}
	return true
}

// operations reads from the API's description which method is behind which path, by
// HTTP's verb.
func operations(openAPI []byte) (map[string][]operation, error) {
	var d struct {
		Paths map[string]map[string]struct {
			ID string `json:"operationId"`
		} `json:"paths"`
	}
	if err := json.Unmarshal(openAPI, &d); err != nil {
		return nil, fmt.Errorf("reading the API's description: %w", err)
	}
	found := map[string][]operation{}
	for path, verbs := range d.Paths {
		for verb, o := range verbs {
			service, name, ok := strings.Cut(o.ID, "_")
			method := "/sekisho.v1." + service + "/" + name
			if _, known := access[method]; !ok || !known {
				return nil, errors.New("the API's description has an operation " + o.ID + " of no method that is in the table of who may")
			}
			verb = strings.ToUpper(verb)
			found[verb] = append(found[verb], operation{strings.Split(path, "/"), method})
		}
	}
	return found, nil
}
