package server

import (
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"github.com/grpc-ecosystem/grpc-gateway/v2/utilities"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	sekishov1 "github.com/sekisho-dev/sekisho/proto/sekisho/v1"
)

// strict answers a request that somebody else might read in another way, and reports
// whether it did. Nothing of the body has been read by then.
func strict(w http.ResponseWriter, r *http.Request) bool {
	query, err := url.QueryUnescape(r.URL.RawQuery)
	switch {
	case !utf8.ValidString(r.URL.Path):
		refuse(w, errBadRequest, "the path is not UTF-8")
	case err != nil || !utf8.ValidString(query):
		refuse(w, errBadRequest, "the query is not UTF-8, or not escaped as a query is")
	case r.Method == http.MethodPost && r.URL.RawQuery != "":
		refuse(w, errBadRequest, "a request that is posted has its fields in its body, and none in the query: they would not be looked at")
	case r.ContentLength == 0: // there is no body whose form could matter
		return false
	case !plainJSON(r.Header["Content-Type"]):
		refuse(w, errMediaType, fmt.Sprintf("the body is sent as %.80q, want application/json (curl --json, or -H 'Content-Type: application/json')", strings.Join(r.Header["Content-Type"], ", ")))
	case !unencoded(r.Header["Content-Encoding"]):
		refuse(w, errMediaType, fmt.Sprintf("the body is sent with Content-Encoding %.80q; send it as it is", strings.Join(r.Header["Content-Encoding"], ", ")))
	default:
		return false
	}
	return true
}

// plainJSON reports whether a Content-Type is JSON in UTF-8. One that is absent is
// taken for it: nothing says otherwise, and what is not JSON does not parse.
func plainJSON(values []string) bool {
	if len(values) == 0 {
		return true
	}
	kind, parameters, err := mime.ParseMediaType(values[0])
	charset, given := parameters["charset"]
	if given {
		delete(parameters, "charset")
	}
	return len(values) == 1 && err == nil && kind == "application/json" && len(parameters) == 0 && (!given || strings.EqualFold(charset, "utf-8"))
}

func unencoded(encodings []string) bool {
	return len(encodings) == 0 || len(encodings) == 1 && strings.EqualFold(strings.TrimSpace(encodings[0]), "identity")
}

// unforwarded are headers that the gateway would act on, or pass on, by itself. A
// deadline is the service's to set, and must not be read before it is known who
// calls.
var unforwarded = []string{"Grpc-Timeout", "X-Http-Method-Override", "X-Forwarded-For", "X-Forwarded-Host"}

// steadyJSON is our reading and our writing of JSON.
type steadyJSON struct{ runtime.JSONPb }

// Marshal renders a message; whatever else the gateway should write is its own.
func (j *steadyJSON) Marshal(v any) ([]byte, error) {
	if m, ok := v.(proto.Message); ok {
		return sekishov1.JSON(m)
	}
	return j.JSONPb.Marshal(v)
}

// NewDecoder reads all of a body as one message. The gateway's own reads the first
// value and leaves the rest, which somebody thought would count.
func (j *steadyJSON) NewDecoder(r io.Reader) runtime.Decoder {
	return runtime.DecoderFunc(func(v any) error {
		raw, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		m, ok := v.(proto.Message)
		switch {
		case !ok:
			return fmt.Errorf("a %T is no message", v)
		case len(raw) == 0:
			return io.EOF // no body: the message is empty
		}
		return protojson.Unmarshal(raw, m)
	})
}

// strictQuery refuses a query parameter that a request does not have, and one that is
// there in two spellings: a filter that is misspelt must not be a filter less.
type strictQuery struct{ runtime.DefaultQueryParser }

func (q *strictQuery) Parse(m proto.Message, values url.Values, filter *utilities.DoubleArray) error {
	fields := m.ProtoReflect().Descriptor().Fields()
	given := map[string]bool{}
	for name := range values {
		top, rest, _ := strings.Cut(name, ".")
		field := fields.ByJSONName(top)
		if field == nil {
			field = fields.ByTextName(top)
		}
		if field != nil {
			if given[field.JSONName()+"."+rest] {
				return fmt.Errorf("the parameter %s is there twice", field.JSONName())
			}
			given[field.JSONName()+"."+rest] = true
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
