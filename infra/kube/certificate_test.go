package kube_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/infra/internal/recorder"
	"github.com/stateful-k3s/stateful-k3s/infra/kube"
)

// certify hands the certificate's parts to resources that do not make their inputs secret by themselves.
func certify(version string, names ...string) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		certificate, err := kube.NewCertificate(ctx, "certificate",
			kube.CertificateArgs{Names: names, Version: version})
		if err != nil {
			return err
		}
		for name, part := range map[string]pulumi.StringOutput{
			"authority": certificate.Authority, "server": certificate.Server, "key": certificate.Key,
		} {
			if _, err := pulumi.NewStash(ctx, name, &pulumi.StashArgs{Input: part}); err != nil {
				return err
			}
		}
		return nil
	}
}

// stashed returns a text that must be secret.
func stashed(t *testing.T, recording *recorder.Recording, name string) string {
	t.Helper()
	input := recording.Get(t, stashType, name).Inputs["input"]
	require.True(t, input.IsSecret(), name)
	return input.SecretValue().Element.StringValue()
}

func parse(t *testing.T, text string) *x509.Certificate {
	t.Helper()
	block, rest := pem.Decode([]byte(text))
	require.Empty(t, rest)
	certificate, err := x509.ParseCertificate(block.Bytes)
	require.NoError(t, err)
	return certificate
}

func TestCertificate(t *testing.T) {
	recording := recorder.Run(t, certify("1", "db", "db.example"))
	authority, server := parse(t, stashed(t, recording, "authority")), parse(t, stashed(t, recording, "server"))

	roots := x509.NewCertPool()
	roots.AddCert(authority)
	inNineYears := time.Now().AddDate(9, 0, 0)
	for _, name := range []string{"db", "db.example"} {
		_, err := server.Verify(x509.VerifyOptions{DNSName: name, Roots: roots, CurrentTime: inNineYears})
		require.NoError(t, err, name)
	}
	_, err := server.Verify(x509.VerifyOptions{DNSName: "other", Roots: roots})
	require.ErrorContains(t, err, "not other")
	_, err = server.Verify(x509.VerifyOptions{Roots: roots,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	require.Error(t, err, "it is a server's")

	require.True(t, authority.IsCA)
	require.True(t, authority.MaxPathLenZero, "it signs no other authority")
	require.False(t, server.IsCA)
	require.NotEmpty(t, server.AuthorityKeyId)
	require.Equal(t, authority.SubjectKeyId, server.AuthorityKeyId)
	_, err = tls.X509KeyPair([]byte(stashed(t, recording, "server")), []byte(stashed(t, recording, "key")))
	require.NoError(t, err)
}

// The state keeps one private key, the server's.
func TestAuthoritysKeyIsForgotten(t *testing.T) {
	kept := stashed(t, recorder.Run(t, certify("1", "db")), "certificate")
	require.Equal(t, 1, strings.Count(kept, "BEGIN PRIVATE KEY"))
	require.Equal(t, 3, strings.Count(kept, "BEGIN "), "with two certificates")
}

func TestCertificateIsKeptUntilVersionOrNamesChange(t *testing.T) {
	trigger := func(program pulumi.RunFunc) string {
		request := recorder.Run(t, program).Get(t, stashType, "certificate").Request
		require.Equal(t, []string{"input"}, request.GetIgnoreChanges())
		return request.GetReplacementTrigger().GetStringValue()
	}
	first := trigger(certify("1", "db"))
	require.Equal(t, first, trigger(certify("1", "db")))
	require.NotEqual(t, first, trigger(certify("2", "db")))
	require.NotEqual(t, first, trigger(certify("1", "db", "db.example")))
}

// The engine answers with the value that it kept, not with the new one of this run.
func TestCertificateIsTheOneInTheState(t *testing.T) {
	recording := recorder.Run(t, certify("1", "db"), recorder.Outputs(stashType, resource.PropertyMap{
		"output": resource.NewProperty(
			`{"Authority": "kept authority", "Server": "kept certificate", "Key": "kept key"}`),
	}))
	require.Equal(t, "kept authority", stashed(t, recording, "authority"))
	require.Equal(t, "kept certificate", stashed(t, recording, "server"))
	require.Equal(t, "kept key", stashed(t, recording, "key"))
}

func TestCertificateErrors(t *testing.T) {
	_, err := recorder.Try(t, certify("1"))
	require.ErrorContains(t, err, "certificate certificate: Names are required")
	_, err = recorder.Try(t, certify("1", "db"),
		recorder.Outputs(stashType, resource.PropertyMap{"output": resource.NewProperty("?")}))
	require.ErrorContains(t, err, "reading the state of certificate certificate: ")
	require.ErrorContains(t, err, "take a new certificate version to replace it")
}
