package statefulset

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
)

// verifier returns what Postgres stores in place of a password, which itself never reaches the server.
// Passwords are ASCII, which the SASLprep of RFC 5802 leaves as it is. Source:
// https://www.postgresql.org/docs/17/catalog-pg-authid.html and RFC 5802, section 3.
func verifier(password, salt string) (string, error) {
	for _, c := range []byte(password) {
		if c < ' ' || c > '~' {
			return "", errors.New("a password holds something else than printable ASCII characters; set another one")
		}
	}
	const iterations = 4096
	salted, err := pbkdf2.Key(sha256.New, password, []byte(salt), iterations, sha256.Size)
	if err != nil {
		return "", err
	}
	stored := sha256.Sum256(mac(salted, "Client Key"))
	encode := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", iterations, encode([]byte(salt)), encode(stored[:]),
		encode(mac(salted, "Server Key"))), nil
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}
