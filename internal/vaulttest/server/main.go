// Command server is a real Vault core with the Transit engine and nothing else,
// in memory, for tests. It listens on a free loopback port, prints one line of
// JSON {"address", "token", "unsealKey"} once it is unsealed, and exits when its
// standard input closes, so that it never outlives the test that started it.
package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/builtin/logical/transit"
	vhttp "github.com/hashicorp/vault/http"
	"github.com/hashicorp/vault/internalshared/configutil"
	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/hashicorp/vault/sdk/physical/inmem"
	"github.com/hashicorp/vault/vault"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "vaulttest server:", err)
		os.Exit(1)
	}
}

func run() error {
	log := hclog.New(&hclog.LoggerOptions{Level: hclog.Warn, Output: os.Stderr})
	storage, err := inmem.NewInmem(nil, log)
	if err != nil {
		return err
	}
	core, err := vault.NewCore(&vault.CoreConfig{
		Physical:        storage,
		Logger:          log,
		DisableMlock:    true,
		LogicalBackends: map[string]logical.Factory{"transit": transit.Factory},
		BuiltinRegistry: builtins{},
	})
	if err != nil {
		return err
	}
	defer core.Shutdown() //nolint:errcheck // nothing of it is kept
	seal := &vault.SealConfig{SecretShares: 1, SecretThreshold: 1}
	made, err := core.Initialize(context.Background(), &vault.InitParams{BarrierConfig: seal, RecoveryConfig: &vault.SealConfig{}})
	if err != nil {
		return err
	}
	// Unseal wipes the share that it is given.
	if _, err := core.Unseal(bytes.Clone(made.SecretShares[0])); err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go http.Serve(l, vhttp.Handler.Handler(&vault.HandlerProperties{ //nolint:errcheck // it ends with the process
		Core: core, ListenerConfig: &configutil.Listener{TLSDisable: true},
	}))
	err = json.NewEncoder(os.Stdout).Encode(map[string]string{
		"address":   "http://" + l.Addr().String(),
		"token":     made.RootToken,
		"unsealKey": base64.StdEncoding.EncodeToString(made.SecretShares[0]),
	})
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// builtins is the catalogue of built-in plugins: Transit. The real one links
// every database and cloud that Vault knows.
type builtins struct{}

func (builtins) Contains(name string, t consts.PluginType) bool {
	return name == "transit" && t == consts.PluginTypeSecrets
}

func (b builtins) Get(name string, t consts.PluginType) (func() (any, error), bool) {
	return func() (any, error) { return logical.Factory(transit.Factory), nil }, b.Contains(name, t)
}

func (builtins) Keys(t consts.PluginType) []string {
	if t == consts.PluginTypeSecrets {
		return []string{"transit"}
	}
	return nil
}

func (b builtins) DeprecationStatus(name string, t consts.PluginType) (consts.DeprecationStatus, bool) {
	return consts.Supported, b.Contains(name, t)
}

func (builtins) IsBuiltinEntPlugin(string, consts.PluginType) bool { return false }
