package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientauthentication "k8s.io/client-go/pkg/apis/clientauthentication/v1"
	"k8s.io/client-go/rest"
)

const (
	// CredentialCommand is the argument that makes the program run Credential instead of declaring the stack.
	CredentialCommand = "credential"
	credentialVersion = "client.authentication.k8s.io/v1"
	credentialKind    = "ExecCredential" // #nosec G101 -- the kind of an object
	// loginScript runs in the program's folder, where Pulumi starts its plugins. It compiles the program if the
	// first command in a new clone is a refresh or a destroy.
	loginScript = `test -x ../bin/infra || go build -o ../bin/infra . >&2 || exit; exec ../bin/infra "$@"`
)

// Credential is an exec plugin of client-go: it writes the login of the kubeconfig's user to out. The
// arguments are uid, fingerprint and address of the stack's cluster, and the kubeconfig's context, "" for the
// current one. For any other cluster it writes no login, and the reason to faults.
func Credential(ctx context.Context, out, faults io.Writer, arguments []string) error {
	credential := clientauthentication.ExecCredential{TypeMeta: metav1.TypeMeta{APIVersion: credentialVersion,
		Kind: credentialKind}}
	status, err := loginTo(ctx, arguments)
	if err != nil {
		if _, err := fmt.Fprintln(faults, err); err != nil {
			return err
		}
		// client-go shows the unexpected kind of an answer, and nothing that a failing plugin writes.
		credential.Kind = brief(err)
	}
	credential.Status = status
	return json.NewEncoder(out).Encode(credential)
}

// brief leaves out advice, because Pulumi's plugin repeats this for each object.
func brief(err error) string {
	text := err.Error()
	for _, advice := range []string{". Nothing was changed. ", "; " + selection} {
		text, _, _ = strings.Cut(text, advice)
	}
	return text + "; pulumi preview says what to do"
}

func loginTo(ctx context.Context, arguments []string) (*clientauthentication.ExecCredentialStatus, error) {
	if len(arguments) != 4 {
		return nil, fmt.Errorf("%s takes uid, fingerprint and address of a cluster, and a context",
			CredentialCommand)
	}
	expected, access := identity{arguments[0], arguments[1], arguments[2]}, Access{Context: arguments[3]}
	cluster, err := access.connect(ctx)
	if err != nil {
		return nil, fmt.Errorf("this stack is on the cluster %s, which was at %s: %w", expected.id(),
			expected.server,
			err)
	}
	if err := cluster.mustBe(expected); err != nil {
		return nil, err
	}
	status, err := login(ctx, cluster.config)
	if err != nil {
		return nil, fmt.Errorf("logging in to the cluster %s: %w", cluster.config.Host, err)
	}
	return status, nil
}

func login(ctx context.Context, config *rest.Config) (*clientauthentication.ExecCredentialStatus, error) {
	if config.ExecProvider != nil {
		return runPlugin(ctx, config)
	}
	status := &clientauthentication.ExecCredentialStatus{
		Token: config.BearerToken, ClientCertificateData: string(config.CertData),
		ClientKeyData: string(config.KeyData),
	}
	if config.BearerTokenFile != "" {
		token, err := os.ReadFile(config.BearerTokenFile)
		if err != nil {
			return nil, err
		}
		status.Token = strings.TrimSpace(string(token))
	}
	return status, nil
}

// runPlugin runs the user's own exec plugin as client-go does. The versions of its protocol agree in all
// fields that are read here.
func runPlugin(ctx context.Context, config *rest.Config) (*clientauthentication.ExecCredentialStatus, error) {
	plugin := config.ExecProvider
	info := clientauthentication.ExecCredential{TypeMeta: metav1.TypeMeta{APIVersion: plugin.APIVersion,
		Kind: credentialKind}}
	if plugin.ProvideClusterInfo {
		info.Spec.Cluster = &clientauthentication.Cluster{
			Server: config.Host, TLSServerName: config.ServerName, InsecureSkipTLSVerify: config.Insecure,
			CertificateAuthorityData: config.CAData,
		}
		if plugin.Config != nil {
			extension, err := json.Marshal(plugin.Config)
			if err != nil {
				return nil, err
			}
			info.Spec.Cluster.Config = runtime.RawExtension{Raw: extension}
		}
	}
	encoded, err := json.Marshal(info)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, plugin.Command, plugin.Args...)
	cmd.Env = append(os.Environ(), "KUBERNETES_EXEC_INFO="+string(encoded))
	for _, variable := range plugin.Env {
		cmd.Env = append(cmd.Env, variable.Name+"="+variable.Value)
	}
	var stdout bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("running %s: %w", plugin.Command, err) // its arguments may be secret
	}
	var credential clientauthentication.ExecCredential
	if err := json.Unmarshal(stdout.Bytes(), &credential); err != nil {
		return nil, fmt.Errorf("reading what %s wrote: %w", plugin.Command, err)
	}
	if credential.Status == nil {
		return nil, errors.New(plugin.Command + " wrote no credential")
	}
	return credential.Status, nil
}
