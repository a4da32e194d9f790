package config

import (
	"os"
	"strings"

	"github.com/stateful-k3s/stateful-k3s/infra/internal/pairs"
	"github.com/stateful-k3s/stateful-k3s/infra/kube"
)

const (
	// addressVariable holds the address of the lab's ingress controller. The public DNS service labDomain
	// resolves any name that ends in ADDRESS.sslip.io to ADDRESS, which gives each stack of a lab its own name.
	addressVariable = "STATEFUL_K3S_INGRESS_ADDRESS"
	labDomain       = "sslip.io"

	noIngress = "none"

	// issuedSecret is where cert-manager puts a certificate, unless ingressTLSSecret says.
	issuedSecret = "ingress-tls" // #nosec G101 -- a name

	needsHost = "not set, though %s is; for example: pulumi config set %s www.example.com"
)

// ingress returns nil for the class none, and then refuses the settings that only make sense with an ingress.
func (r *reader) ingress(namePrefix string) *kube.Ingress {
	const hostKey, tlsKey, networksKey = "ingressHost", "ingressTLSSecret", "ingressNetworks"
	const issuerKey, annotationsKey, gatewayKey = "ingressIssuer", "ingressAnnotations", "gateway"
	ingress := &kube.Ingress{
		Class:     r.text("ingressClass", objectName("an ingress class, or "+noIngress), "traefik"),
		Namespace: r.text("ingressNamespace", label("a namespace"), "kube-system"),
		Networks:  r.networks(networksKey, "10.0.0.0/16"),
		Host:      r.text(hostKey, optional(hostName), "www.example.com"),
		TLSSecret: r.text(tlsKey, optional(objectName("the name of a Secret")), "www-tls"),
		Issuer:    r.text(issuerKey, optional(objectName("the name of a ClusterIssuer")), "letsencrypt"),
	}
	ingress.Annotations, _ = pairs.Parse(r.text(annotationsKey, annotations,
		`"nginx.ingress.kubernetes.io/limit-rps=20"`))
	if namespace, name, set := strings.Cut(r.text(gatewayKey, optional(gateway), "kube-system/web"), "/"); set {
		ingress.Gateway = &kube.Gateway{Namespace: namespace, Name: name}
	}
	if ingress.Class == noIngress {
		for _, key := range []string{hostKey, tlsKey, networksKey, issuerKey, annotationsKey, gatewayKey} {
			if !r.faulty(key) && r.read(key) != "" {
				r.fault(key, "set, though ingressClass is %s; for example: pulumi config rm %s", noIngress, key)
			}
		}
		return nil
	}
	if ingress.Gateway != nil && !r.faulty(gatewayKey) {
		for _, key := range []string{tlsKey, issuerKey} {
			if r.read(key) != "" && !r.faulty(key) {
				r.fault(key, "set, though %s is: certificates belong to the Gateway's listeners, also those of "+
					"cert-manager; for example: pulumi config rm %s", gatewayKey, key)
			}
		}
	}
	if address := os.Getenv(addressVariable); ingress.Host == "" && namePrefix != "" && address != "" {
		ingress.Host = strings.TrimSuffix(namePrefix, "-") + "." + address + "." + labDomain
	}
	if ingress.Issuer != "" && ingress.TLSSecret == "" && !r.faulty(issuerKey) {
		ingress.TLSSecret = issuedSecret
	}
	if r.faulty(hostKey) || ingress.Host != "" {
		return ingress
	}
	switch {
	case namePrefix != "" && !r.faulty("namePrefix"):
		r.fault(hostKey, "not set, though namePrefix is: stacks that share a cluster need names of their own; "+
			"for example: pulumi config set %s alice.example.com", hostKey)
	case ingress.Issuer != "" && !r.faulty(issuerKey):
		r.fault(hostKey, needsHost, issuerKey, hostKey)
	case ingress.TLSSecret != "" && !r.faulty(tlsKey):
		r.fault(hostKey, needsHost, tlsKey, hostKey)
	}
	return ingress
}
