package kube

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// certificateYears is how long authorities and certificates are valid. They are renewed only by a new
// version.
const certificateYears = 10

// CertificateArgs describes a certificate.
type CertificateArgs struct {
	// Names are the server's DNS names. Other names make a new certificate.
	Names []string
	// Client says that it is a client's, and not a server's.
	Client bool
	// Version is any text. Another one makes a new certificate, with a new authority.
	Version string
}

// Certificate is a certificate in PEM. All of it is secret.
type Certificate struct {
	// Clients trust Authority, which signed Server. Key is the private key of Server.
	Authority, Server, Key pulumi.StringOutput
}

// keptCertificate is a certificate in the stack's state.
type keptCertificate struct{ Authority, Server, Key string }

// NewCertificate returns a certificate, valid for ten years, of an authority of its own. The stack's state
// keeps it until Names or Version change or the stack is destroyed. The authority's private key signs this
// one certificate and is forgotten.
func NewCertificate(ctx *pulumi.Context, name string, args CertificateArgs,
	opts ...pulumi.ResourceOption) (Certificate, error) {
	if len(args.Names) == 0 {
		return Certificate{}, fmt.Errorf("certificate %s: Names are required", name)
	}
	generated, err := generateCertificate(args, time.Now())
	if err != nil {
		return Certificate{}, fmt.Errorf("making certificate %s: %w", name, err)
	}
	text, err := json.Marshal(generated)
	if err != nil {
		return Certificate{}, fmt.Errorf("encoding certificate %s: %w", name, err)
	}
	version := args.Version + " " + strings.Join(args.Names, " ")
	kept, err := keep(ctx, "certificate", name, string(text), pulumi.String(version), opts...)
	if err != nil {
		return Certificate{}, err
	}
	part := func(of func(keptCertificate) string) pulumi.StringOutput {
		return kept.ApplyT(func(text string) (string, error) {
			var c keptCertificate
			if err := json.Unmarshal([]byte(text), &c); err != nil {
				return "", fmt.Errorf("reading the state of certificate %s: %w; "+
					"take a new certificate version to replace it", name, err)
			}
			return of(c), nil
		}).(pulumi.StringOutput)
	}
	return Certificate{
		Authority: part(func(c keptCertificate) string { return c.Authority }),
		Server:    part(func(c keptCertificate) string { return c.Server }),
		Key:       part(func(c keptCertificate) string { return c.Key }),
	}, nil
}

func generateCertificate(args CertificateArgs, now time.Time) (c keptCertificate, err error) {
	names, usage := args.Names, x509.ExtKeyUsageServerAuth
	if args.Client {
		usage = x509.ExtKeyUsageClientAuth
	}
	authorityKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return c, err
	}
	serverKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return c, err
	}
	authority := &x509.Certificate{
		Subject:               pkix.Name{CommonName: project + " authority of " + names[0]},
		NotBefore:             now.Add(-time.Hour), // for clocks that are slow
		NotAfter:              now.AddDate(certificateYears, 0, 0),
		KeyUsage:              x509.KeyUsageCertSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}
	server := &x509.Certificate{
		Subject:     pkix.Name{CommonName: names[0]},
		DNSNames:    names,
		NotBefore:   authority.NotBefore,
		NotAfter:    authority.NotAfter,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{usage},
	}
	signed, err := x509.CreateCertificate(rand.Reader, authority, authority, &authorityKey.PublicKey,
		authorityKey)
	if err != nil {
		return c, err
	}
	c.Authority = encodePEM("CERTIFICATE", signed)
	// Signing gave the authority a key identifier, which the server's certificate must name.
	if authority, err = x509.ParseCertificate(signed); err != nil {
		return c, err
	}
	signed, err = x509.CreateCertificate(rand.Reader, server, authority, &serverKey.PublicKey, authorityKey)
	if err != nil {
		return c, err
	}
	c.Server = encodePEM("CERTIFICATE", signed)
	key, err := x509.MarshalPKCS8PrivateKey(serverKey)
	c.Key = encodePEM("PRIVATE KEY", key)
	return c, err
}

func encodePEM(kind string, content []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content}))
}
