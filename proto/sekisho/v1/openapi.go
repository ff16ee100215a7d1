package sekishov1

import _ "embed"

// OpenAPI is the description of the JSON port (Swagger 2.0), generated from the
// protos and http.yaml.
//
//go:embed openapi.swagger.json
var OpenAPI []byte
