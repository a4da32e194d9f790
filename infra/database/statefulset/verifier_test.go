package statefulset

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The exchange of RFC 7677, section 3, with what the server keeps for it.
func TestVerifierIsThatOfTheStandard(t *testing.T) {
	const (
		exchange = "n=user,r=rOprNGfwEbeRWgbNEkqO," +
			"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096," +
			"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
		clientProof     = "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
		serverSignature = "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
	)
	text, err := verifier("pencil", string(decode(t, "W22ZaJ0SNY7soEsUEjb6gQ==")))
	require.NoError(t, err)
	keys, found := strings.CutPrefix(text, "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$")
	require.True(t, found, text)
	stored, server, _ := strings.Cut(keys, ":")

	require.Equal(t, decode(t, serverSignature), mac(decode(t, server), exchange))
	clientKey := decode(t, clientProof)
	for i, b := range mac(decode(t, stored), exchange) {
		clientKey[i] ^= b
	}
	digest := sha256.Sum256(clientKey)
	require.Equal(t, decode(t, stored), digest[:])
}

func decode(t *testing.T, text string) []byte {
	t.Helper()
	decoded, err := base64.StdEncoding.DecodeString(text)
	require.NoError(t, err)
	return decoded
}
