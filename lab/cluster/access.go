package cluster

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"golang.org/x/crypto/bcrypt"

	"github.com/stateful-k3s/stateful-k3s/lab/internal/files"
	"github.com/stateful-k3s/stateful-k3s/lab/layout"
)

// registryUser is the user of the node, the builder, Pulumi and the lab.
const registryUser = "lab"

// access has the registry's certificate and login. Every user of this machine reaches the registry's address,
// and its images run in the cluster and in builds, so reading needs the login too.
type access struct {
	lab layout.Lab
	// certificate is self-signed, in PEM. It signs no others, and is trusted for this one address.
	certificate []byte
	password    string
}

// newAccess keeps what exists, and makes what is missing or about to expire. The owner gets the login.
func newAccess(lab layout.Lab, owner Owner) (access, error) {
	password, err := readLogin(lab)
	if err != nil || !exists(passwordFile(lab)) {
		password, err = createLogin(lab)
	}
	if err == nil {
		err = os.Chown(lab.RegistryLogin(), owner.UID, owner.GID)
	}
	if err != nil {
		return access{}, fmt.Errorf("making the registry's login: %w", err)
	}
	certificate, err := makeCertificate(lab)
	if err != nil {
		return access{}, fmt.Errorf("making the registry's certificate: %w", err)
	}
	return access{lab: lab, certificate: certificate, password: password}, nil
}

// login has the format of Docker's configuration, which Pulumi's plugin takes.
type login struct {
	Auths map[string]basic `json:"auths"`
}

type basic struct {
	Auth []byte `json:"auth"` // user:password, which JSON encodes in base64
}

func readLogin(lab layout.Lab) (password string, err error) {
	content, err := os.ReadFile(lab.RegistryLogin())
	if err != nil {
		return "", err
	}
	var l login
	if err := json.Unmarshal(content, &l); err != nil {
		return "", err
	}
	_, password, found := strings.Cut(string(l.Auths[lab.Registry()].Auth), ":")
	if !found {
		return "", fmt.Errorf("%s has no login for %s", lab.RegistryLogin(), lab.Registry())
	}
	return password, nil
}

// createLogin writes the login for clients, and its hash for the registry. The password is random, so the
// cheapest hash will do.
func createLogin(lab layout.Lab) (password string, err error) {
	password = rand.Text()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		return "", err
	}
	if err := files.Write(passwordFile(lab), fmt.Appendf(nil, "%s:%s\n", registryUser, hash),
		0o600); err != nil {
		return "", err
	}
	auth := []byte(registryUser + ":" + password)
	content, err := json.Marshal(login{map[string]basic{lab.Registry(): {auth}}})
	if err != nil {
		return "", err
	}
	return password, files.Write(lab.RegistryLogin(), content, 0o600)
}

func passwordFile(lab layout.Lab) string { return lab.Dir("registry.htpasswd") }

func registryKey(lab layout.Lab) string { return lab.Dir("registry.key") }

const (
	certificateLifetime = 10 * 365 * 24 * time.Hour
	renewalTime         = 30 * 24 * time.Hour // before the end
)

func makeCertificate(lab layout.Lab) ([]byte, error) {
	address := net.IP(lab.HostAddress().AsSlice())
	if pair, err := tls.LoadX509KeyPair(lab.RegistryCertificate(), registryKey(lab)); err == nil &&
		pair.Leaf.VerifyHostname(address.String()) == nil && time.Until(pair.Leaf.NotAfter) > renewalTime {
		return os.ReadFile(lab.RegistryCertificate())
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: "registry of the lab " + lab.Name},
		IPAddresses: []net.IP{address},
		NotBefore:   time.Now().Add(-time.Hour), NotAfter: time.Now().Add(certificateLifetime),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})
	if err := files.Write(registryKey(lab), keyPEM, 0o600); err != nil {
		return nil, err
	}
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return certificate, files.Write(lab.RegistryCertificate(), certificate, 0o644)
}

// options make the lab's own tools trust the registry, log in to it, and use no proxy.
func (a access) options() []remote.Option {
	return []remote.Option{
		remote.WithTransport(a.transport()),
		remote.WithAuth(&authn.Basic{Username: registryUser, Password: a.password}),
	}
}

func (a access) transport() *http.Transport {
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(a.certificate)
	return &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted, MinVersion: tls.VersionTLS12}}
}
