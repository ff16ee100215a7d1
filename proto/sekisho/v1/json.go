package sekishov1

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// JSON renders a message as the JSON port and the command line show it: protojson
// with unpopulated fields, indented by two spaces, and the same every time.
// (protojson by itself varies its white space from build to build on purpose.)
func JSON(m proto.Message) ([]byte, error) {
	return format(m, func(b *bytes.Buffer, raw []byte) error { return json.Indent(b, raw, "", "  ") })
}

// JSONLine is [JSON] on one line, for NDJSON.
func JSONLine(m proto.Message) ([]byte, error) {
	return format(m, json.Compact)
}

func format(m proto.Message, form func(*bytes.Buffer, []byte) error) ([]byte, error) {
	raw, err := protojson.MarshalOptions{EmitUnpopulated: true}.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("rendering %s: %w", m.ProtoReflect().Descriptor().Name(), err)
	}
	var b bytes.Buffer
	if err := form(&b, raw); err != nil {
		return nil, fmt.Errorf("rendering %s: %w", m.ProtoReflect().Descriptor().Name(), err)
	}
	b.WriteByte('\n')
	return escapeControls(b.Bytes()), nil
}

// escapeControls writes the control characters that JSON allows within strings, but
// that terminals obey (C1, and those that turn the direction of writing), as escapes.
func escapeControls(raw []byte) []byte {
	var out []byte
	done := 0
	for i, r := range string(raw) {
		if r < 0x7f || r >= 0xa0 && r < 0x202a || r > 0x202e && r < 0x2066 || r > 0x2069 {
			continue
		}
		out = fmt.Appendf(append(out, raw[done:i]...), "\\u%04x", r)
		done = i + utf8.RuneLen(r)
	}
	if done == 0 {
		return raw
	}
	return append(out, raw[done:]...)
}
