// Package authorities says whose certificates an app trusts.
package authorities

import (
	"crypto/x509"
	"errors"
	"os"

	// The images of the apps have no authorities of their own.
	_ "golang.org/x/crypto/x509roots/fallback"
)

// Load returns the system's authorities, or those that come with the program if it has none, and those of a
// PEM file; an empty name stands for no file.
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
