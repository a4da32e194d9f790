package main

import (
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"text/template"

	"github.com/stretchr/testify/require"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/stateful-k3s/stateful-k3s/infra/internal/recorder"
	"github.com/stateful-k3s/stateful-k3s/internal/connections"
)

func TestDocumentOfConnections(t *testing.T) {
	const path = "../docs/connections.md"
	document := documentConnections(t)
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(document), 0o644))
	}
	written, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, document, string(written), "to bring it up to date: go test ./infra -update")
}

func documentConnections(t *testing.T) string {
	byDefault := connectionsWith(t, nil)
	added := func(changes map[string]string) string {
		return connections.Markdown(slices.DeleteFunc(connectionsWith(t, changes),
			func(c connections.Connection) bool {
				return slices.ContainsFunc(byDefault,
					func(known connections.Connection) bool { return reflect.DeepEqual(known, c) })
			}))
	}
	page, err := template.ParseFiles("testdata/connections.md.tmpl")
	require.NoError(t, err)
	var document strings.Builder
	require.NoError(t, page.Execute(&document, map[string]string{
		"Default": connections.Markdown(byDefault),
		"Engine":  added(map[string]string{"engine": "cloudnative-pg"}),
		"Builtin": added(map[string]string{"monitoring": "builtin"}),
		"Scraped": added(map[string]string{"monitoring": "annotations"}),
		"Restore": added(map[string]string{"restoreFrom": "latest"}),
		"Heartbeat": added(map[string]string{
			"backupHeartbeatUrl": "https://hc-ping.com/key/{database}",
		}),
		"Elsewhere": added(map[string]string{
			"s3Endpoint": "https://s3.example.com", "s3AccessKey": "AKIA", "s3SecretKey": "correct-horse",
		}),
		"Issuer": added(map[string]string{"ingressIssuer": "letsencrypt", "ingressHost": "todo.lan"}),
	}))
	return document.String()
}

// connectionsWith returns the connections that the program's network policies allow.
func connectionsWith(t *testing.T, changes map[string]string) []connections.Connection {
	t.Helper()
	var policies []*networkingv1.NetworkPolicy
	for _, recorded := range recorder.Run(t, withoutCluster, settings(t, changes)).All() {
		if policy, is := recorded.Object.(*networkingv1.NetworkPolicy); is {
			policies = append(policies, policy)
		}
	}
	allowed, err := connections.Of(policies)
	require.NoError(t, err)
	return allowed
}
