package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/sekisho-dev/sekisho/client"
	sekishov1 "github.com/sekisho-dev/sekisho/proto/sekisho/v1"
)

const (
	// maxFile is the largest file that is read: the service takes documents of
	// 16 MiB, and JSON lines hold several.
	maxFile = 256 << 20
	// inFlight is how many documents are handed in at once. Each waits for a
	// checkpoint, and they share it.
	inFlight = 32
)

func (a *app) attestCommand() *cobra.Command {
	var (
		publicKey string
		dryRun    bool
	)
	c := &cobra.Command{
		Use:   "attest FILE...",
		Short: "Register attestations: sign them or check them, and write them into the log",
		Long: `Registers attestations. A FILE ("-" for standard input) holds one of these, or JSON
lines of them; which one it is is detected:

  an in-toto statement   signed by the service, if you may have it signed
  a DSSE envelope        with its signature by a key
  a Sigstore bundle      of a DSSE envelope

What is registered stays as it is: bytes are never changed. The same statement by
the same signer is registered once; asking again shows the first registration.`,
		Example: `  sekisho attest provenance.json
  sekisho attest --public-key ci.pub provenance.intoto.jsonl
  sekisho attest -o json *.sigstore.json | jq .attestation.logIndex`,
		Args: cobra.MinimumNArgs(1),
		RunE: a.call(func(ctx context.Context, c *client.Client, args []string) error {
			key, err := readOptional(publicKey)
			if err != nil {
				return err
			}
			docs := a.documents(args)
			for _, d := range docs {
				if d.err == nil {
					d.request.PublicKey, d.request.ValidateOnly = string(key), dryRun
				}
			}
			return a.register(ctx, c, docs, len(args) > 1 || len(docs) > 1)
		}),
	}
	c.Flags().StringVar(&publicKey, "public-key", "", "PEM of the key that signed an envelope or a bundle, if the trust root does not name it")
	c.Flags().BoolVar(&dryRun, "dry-run", false, "check everything, register nothing")
	return c
}

// A document is one thing to be registered, and where it came from; or why there
// is none.
type document struct {
	from    string // for errors: FILE, or FILE:LINE
	request *sekishov1.CreateAttestationRequest
	err     error
}

// documents reads the files. What cannot be read does not keep the others from
// being registered.
func (a *app) documents(paths []string) (docs []*document) {
	for _, path := range paths {
		raw, err := a.readFile(path)
		if err == nil {
			var found []*document
			found, err = split(path, raw)
			docs = append(docs, found...)
		}
		if err != nil {
			docs = append(docs, &document{from: path, err: err})
		}
	}
	return docs
}

// split takes JSON lines apart. A file that is one document, on however many lines,
// is handed in whole: what is signed are the file's bytes.
//
// A line that is JSON and no attestation does not keep the others from being
// registered; a file that is not JSON throughout is refused whole.
func split(path string, raw []byte) ([]*document, error) {
	type line struct {
		at    int
		value jsontext.Value
	}
	var lines []line
	dec := jsontext.NewDecoder(bytes.NewReader(raw))
	for {
		value, err := dec.ReadValue()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, rejection{because{client.ErrMalformed, fmt.Errorf("%s: %w", path, notJSON(raw, err))}}
		}
		start := dec.InputOffset() - int64(len(value))
		lines = append(lines, line{1 + bytes.Count(raw[:start], []byte("\n")), bytes.Clone(value)})
	}
	switch len(lines) {
	case 0:
		return nil, rejection{because{client.ErrMalformed, fmt.Errorf("%s: it is empty; want a statement, an envelope or a bundle, as JSON", path)}}
	case 1:
		req, err := request(lines[0].value, raw)
		if err != nil {
			return nil, rejection{fmt.Errorf("%s: %w", path, err)}
		}
		return []*document{{from: path, request: req}}, nil
	}
	var docs []*document
	for _, l := range lines {
		from := fmt.Sprintf("%s:%d", path, l.at)
		req, err := request(l.value, l.value)
		if err != nil {
			err = rejection{fmt.Errorf("%s: %w", from, err)}
		}
		docs = append(docs, &document{from, req, err})
	}
	return docs, nil
}

// notJSON says why bytes are not JSON, and what they are where that is plain.
func notJSON(raw []byte, err error) error {
	for _, k := range []struct{ begins, is string }{
		{"\x1f\x8b", "it is compressed by gzip; unpack it first"},
		{"\xef\xbb\xbf", "it begins with a byte order mark, which JSON may not; save it as UTF-8 without one"},
		{"\xff\xfe", "it is UTF-16; save it as UTF-8"},
		{"\xfe\xff", "it is UTF-16; save it as UTF-8"},
		{"-----BEGIN ", "it is PEM, a key or certificate; a key goes with --public-key"},
	} {
		if bytes.HasPrefix(raw, []byte(k.begins)) {
			return errors.New(k.is)
		}
	}
	return fmt.Errorf("it is not JSON: %w", err)
}

// request tells what a JSON value is by the members that only it has, and hands in
// its bytes as that.
func request(value jsontext.Value, raw []byte) (*sekishov1.CreateAttestationRequest, error) {
	members, err := names(value)
	if err != nil {
		return nil, because{client.ErrMalformed, err}
	}
	switch {
	case members["payloadType"]:
		return &sekishov1.CreateAttestationRequest{Document: &sekishov1.CreateAttestationRequest_Envelope{Envelope: raw}}, nil
	case members["_type"]:
		return &sekishov1.CreateAttestationRequest{Document: &sekishov1.CreateAttestationRequest_Statement{Statement: raw}}, nil
	case members["verificationMaterial"], members["dsseEnvelope"], members["messageSignature"], bundleType(value):
		return &sekishov1.CreateAttestationRequest{Document: &sekishov1.CreateAttestationRequest_Bundle{Bundle: raw}}, nil
	case members["bomFormat"], members["spdxVersion"]:
		return nil, because{client.ErrNotAnAttestation, errors.New("it is an SBOM; use: sekisho sbom submit ARTIFACT FILE")}
	}
	if members["attestations"] {
		return nil, because{client.ErrNotAnAttestation, errors.New("it is a list of attestations, as npm's registry and GitHub's API answer; hand in the bundles in it: jq -c '.attestations[].bundle' FILE | sekisho attest -")}
	}
	return nil, because{client.ErrNotAnAttestation, errors.New("neither an in-toto statement (_type), nor a DSSE envelope (payloadType), nor a Sigstore bundle (verificationMaterial)")}
}

// bundleType reports whether an object's media type is that of a Sigstore bundle,
// of whatever version. An OCI manifest has a media type too.
func bundleType(value jsontext.Value) bool {
	var o struct {
		MediaType string `json:"mediaType"`
	}
	return json.Unmarshal(value, &o) == nil && strings.HasPrefix(o.MediaType, "application/vnd.dev.sigstore.bundle")
}

// names are the names of an object's members.
func names(value jsontext.Value) (map[string]bool, error) {
	dec := jsontext.NewDecoder(bytes.NewReader(value))
	if kind := value.Kind(); kind == '[' {
		return nil, errors.New("want a JSON object, found an array; hand in its elements as JSON lines: jq -c '.[]' FILE | sekisho attest -")
	} else if kind != '{' {
		return nil, errors.New("want a JSON object")
	}
	found := map[string]bool{}
	if _, err := dec.ReadToken(); err != nil {
		return nil, err
	}
	for dec.PeekKind() == '"' {
		name, err := dec.ReadToken()
		if err != nil {
			return nil, err
		}
		found[name.String()] = true
		if err := dec.SkipValue(); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// register hands in documents side by side, and shows the answers in their order.
func (a *app) register(ctx context.Context, c *client.Client, docs []*document, several bool) error {
	type result struct {
		resp *sekishov1.CreateAttestationResponse
		err  error
	}
	results := make([]chan result, len(docs))
	for i := range results {
		results[i] = make(chan result, 1)
	}
	var g errgroup.Group
	g.SetLimit(inFlight)
	go func() {
		for i, d := range docs {
			if d.err != nil {
				results[i] <- result{err: d.err}
				continue
			}
			g.Go(func() error {
				resp, err := c.Register(ctx, d.request)
				if err != nil {
					err = rejection{fmt.Errorf("%s: %w", d.from, err)}
				}
				results[i] <- result{resp, err}
				return nil
			})
		}
	}()
	p := a.progress("registered")
	var failed []error
	for i, d := range docs {
		r := <-results[i]
		p.end()
		if r.err != nil {
			failed = append(failed, a.tell(r.err))
			continue
		}
		show := a.show
		if several {
			show = a.showLine
		}
		if err := show(r.resp, func(w io.Writer) { a.registered(w, d, r.resp) }); err != nil {
			return join(append(failed, err)...)
		}
		if len(docs) > 1 && i+1 < len(docs) {
			p.at(uint64(i)+1, uint64(len(docs)))
		}
	}
	return join(failed...)
}

// registered says what became of a document.
func (a *app) registered(w io.Writer, d *document, resp *sekishov1.CreateAttestationResponse) {
	regs := append([]*sekishov1.Registration{{
		Attestation: resp.GetAttestation(), Receipt: resp.GetReceipt(), AlreadyRegistered: resp.GetAlreadyRegistered(),
	}}, resp.GetOthers()...)
	for _, r := range regs {
		att := r.GetAttestation()
		if att == nil { // a statement has no attestation before it is signed
			fmt.Fprintf(w, "%s: would be registered, signed by the service\n", d.from)
			continue
		}
		what := a.paint(w, green, "registered")
		switch {
		case d.request.GetValidateOnly():
			what = "would be registered"
		case r.GetAlreadyRegistered():
			what = "already registered"
		}
		if d.request.GetValidateOnly() {
			fmt.Fprintf(w, "%s: %s  %s\n", d.from, what, plain(att.GetPredicateType()))
		} else {
			fmt.Fprintf(w, "%s: %s as #%d  %s  %s\n", d.from, what, att.GetLogIndex(), att.GetDigest(), plain(att.GetPredicateType()))
		}
		for _, s := range att.GetSubjects() {
			fmt.Fprintf(w, "  about %s\n", title(&sekishov1.Artifact{Digest: s.GetDigest(), Names: nameOf(s)}))
		}
	}
	if !d.request.GetValidateOnly() && !resp.GetIndexed() {
		a.warn("the index has not caught up yet; answers will count this attestation in a moment")
	}
}

func nameOf(s *sekishov1.Subject) []string {
	if s.GetName() == "" {
		return nil
	}
	return []string{s.GetName()}
}

// readFile reads a file, or standard input for "-".
func (a *app) readFile(path string) ([]byte, error) {
	in := a.in
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close() //nolint:errcheck // read only
		in = f
	}
	raw, err := io.ReadAll(io.LimitReader(in, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	if len(raw) > maxFile {
		return nil, rejection{because{client.ErrDocumentTooLarge, fmt.Errorf("%s: it has more than %d MiB", path, maxFile>>20)}}
	}
	return raw, nil
}

func readOptional(path string) ([]byte, error) {
	if path == "" {
		return nil, nil
	}
	return os.ReadFile(path)
}
