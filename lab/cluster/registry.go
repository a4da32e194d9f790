package cluster

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"golang.org/x/crypto/bcrypt"

	"github.com/stateful-k3s/stateful-k3s/lab/layout"
	"github.com/stateful-k3s/stateful-k3s/lab/tools"
)

// registryUser is who logs in to the registry, for the node, the builder, Pulumi and the lab itself.
const registryUser = "lab"

// access is what it takes to use the lab's registry. Every user of this machine reaches its address, and what
// is in there runs in the cluster and in builds: so neither reading nor writing goes without a login.
type access struct {
	lab layout.Lab
	// certificate is the registry's own, in PEM. It signs no others, and is trusted for this one address.
	certificate []byte
	password    string
}

// makeAccess keeps what is there, and makes what is missing or about to expire. The owner gets the login.
func makeAccess(lab layout.Lab, owner Owner) (access, error) {
	password, err := makeLogin(lab, owner)
	if err != nil {
		return access{}, fmt.Errorf("making the registry's login: %w", err)
	}
	certificate, err := makeCertificate(lab)
	if err != nil {
		return access{}, fmt.Errorf("making the registry's certificate: %w", err)
	}
	return access{lab: lab, certificate: certificate, password: password}, nil
}

// login is in the form of Docker's own configuration, which Pulumi's plugin takes.
type login struct {
	Auths map[string]basic `json:"auths"`
}

type basic struct {
	Auth []byte `json:"auth"` // user:password, which JSON encodes in base64
}

func makeLogin(lab layout.Lab, owner Owner) (password string, err error) {
	path := lab.RegistryLogin()
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		password = rand.Text()
		content, err = json.Marshal(login{map[string]basic{lab.Registry(): {[]byte(registryUser + ":" +
			password)}}})
		if err != nil {
			return "", err
		}
		if err := writeWhole(path, content, 0o600); err != nil {
			return "", err
		}
	} else if err != nil {
		return "", err
	}
	var have login
	if err := json.Unmarshal(content, &have); err != nil {
		return "", fmt.Errorf("%s: %w: delete it, and make up writes a new one", path, err)
	}
	_, password, _ = strings.Cut(string(have.Auths[lab.Registry()].Auth), ":")
	if err := os.Chown(path, owner.UID, owner.GID); err != nil {
		return "", err
	}
	return password, writePasswords(lab, password)
}

func passwords(lab layout.Lab) string { return lab.Dir("registry.htpasswd") }

// writePasswords gives the registry the hash of the password. That is random, and takes no effort to tell
// right from wrong.
func writePasswords(lab layout.Lab, password string) error {
	have, err := os.ReadFile(passwords(lab))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	hash, _ := strings.CutPrefix(strings.TrimSpace(string(have)), registryUser+":")
	if bcrypt.CompareHashAndPassword([]byte(hash), []byte(password)) == nil {
		return nil
	}
	fresh, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		return err
	}
	return writeWhole(passwords(lab), fmt.Appendf(nil, "%s:%s\n", registryUser, fresh), 0o600)
}

func registryKey(lab layout.Lab) string { return lab.Dir("registry.key") }

const (
	certificateAge  = 10 * 365 * 24 * time.Hour
	certificateRest = 30 * 24 * time.Hour // with less left it is made anew
)

func makeCertificate(lab layout.Lab) ([]byte, error) {
	address := net.IP(lab.HostAddress().AsSlice())
	if pair, err := tls.LoadX509KeyPair(lab.RegistryCertificate(), registryKey(lab)); err == nil &&
		pair.Leaf.VerifyHostname(address.String()) == nil && time.Until(pair.Leaf.NotAfter) > certificateRest {
		return os.ReadFile(lab.RegistryCertificate())
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: "registry of the lab " + lab.Name},
		IPAddresses: []net.IP{address},
		NotBefore:   time.Now().Add(-time.Hour), NotAfter: time.Now().Add(certificateAge),
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
	if err := writeWhole(registryKey(lab), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
		0o600); err != nil {
		return nil, err
	}
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return certificate, writeWhole(lab.RegistryCertificate(), certificate, 0o644)
}

// writeWhole replaces a file as a whole, and makes its directory.
func writeWhole(path string, content []byte, mode fs.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", content, mode); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// options have the lab's own tools trust the registry, log in to it, and ask no proxy for it.
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

// registryUp starts the registry that has the lab's images and stands in for Docker Hub.
func registryUp(ctx context.Context, a access, binaries tools.Binaries) error {
	config := fmt.Sprintf(`version: 0.1
log: {level: warn}
http:
  addr: %s
  tls: {certificate: %s, key: %s}
auth:
  htpasswd: {realm: lab, path: %s}
storage:
  filesystem: {rootdirectory: %s}
  delete: {enabled: true}
`, a.lab.Registry(), a.lab.RegistryCertificate(), registryKey(a.lab), passwords(a.lab), a.lab.Dir("registry"))
	path := a.lab.Dir("registry.yaml")
	if err := os.WriteFile(path, []byte(config), 0o644); err != nil {
		return err
	}
	d := service(a.lab, "registry", binaries["registry"], "serve", path)
	d.Env = []string{"OTEL_TRACES_EXPORTER=none"}
	d.Inputs = fmt.Sprintf("%x", sha256.Sum256(fmt.Append(nil, config, string(a.certificate))))
	if pid, _ := find(d.Lab, d.Name); pid == 0 {
		if err := portFree(a.lab.Registry()); err != nil {
			return err
		}
	}
	if _, err := d.start(ctx); err != nil {
		return err
	}
	return d.await(ctx, 30*time.Second, a.answers)
}

func (a access) answers() error {
	transport := a.transport()
	defer transport.CloseIdleConnections()
	request, err := http.NewRequest(http.MethodGet, "https://"+a.lab.Registry()+"/v2/", nil)
	if err != nil {
		return err
	}
	request.SetBasicAuth(registryUser, a.password)
	response, err := transport.RoundTrip(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the registry answers %s", response.Status)
	}
	return nil
}

// registries has the node take images of Docker Hub, and those of the stack, from the lab's registry. It logs
// in as containerd's own settings say.
func (a access) registries() string {
	return fmt.Sprintf(`mirrors:
  docker.io: {endpoint: ["https://%[1]s"]}
  "%[1]s": {endpoint: ["https://%[1]s"]}
configs:
  "%[1]s": {tls: {ca_file: %[2]s}}
`, a.lab.Registry(), nodeConf+"/"+registryCertificate)
}

// registryCertificate is its name in the node's files.
const registryCertificate = "registry.crt"

// containerd are containerd's settings of the login.
func (a access) containerd() string {
	return fmt.Sprintf(`
[plugins.'io.containerd.cri.v1.images'.registry.configs.'%s'.auth]
  username = %q
  password = %q
`, a.lab.Registry(), registryUser, a.password)
}
