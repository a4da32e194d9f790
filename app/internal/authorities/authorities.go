// Package authorities loads the certificate authorities that an app trusts.
package authorities

import (
	"crypto/x509"
	"errors"
	"os"

	// The images contain no authorities.
	_ "golang.org/x/crypto/x509roots/fallback"
)

// Load returns the system's authorities, or the program's own if the system has none, and adds the
// authorities in a PEM file unless its name is empty.
func Load(file string) (*x509.CertPool, error) {
	pool, err := x509.SystemCertPool()
	if err != nil || file == "" {
		return pool, err
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New(file + " holds no certificate in PEM format")
	}
	return pool, nil
}
