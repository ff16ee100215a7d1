package sekishov1

import (
	"bytes"
	"encoding/json"
	"fmt"

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
	return b.Bytes(), nil
}
