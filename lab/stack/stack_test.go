package stack

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/lab/layout"
	"github.com/stateful-k3s/stateful-k3s/lab/tools"
)

// newLab returns a lab. Its pulumi is a script that prints its arguments and its settings file.
func newLab(t *testing.T) (layout.Lab, tools.Binaries) {
	t.Helper()
	checkout := filepath.Join(t.TempDir(), "my projects")
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	lab, err := layout.New("dev", t.TempDir(), checkout)
	require.NoError(t, err)
	lab, err = lab.InHome()
	require.NoError(t, err)
	pulumi := filepath.Join(t.TempDir(), "pulumi")
	script := "#!/bin/sh\necho \"$@\"\nfor last; do :; done\ntest -f \"$last\" && cat \"$last\"\nexit 0\n"
	require.NoError(t, os.WriteFile(pulumi, []byte(script), 0o755))
	require.NoError(t, os.MkdirAll(lab.Dir("pulumi"), 0o755))
	require.NoError(t, os.MkdirAll(lab.CheckoutDir("bin"), 0o755))
	binaries := tools.Binaries{"pulumi": pulumi, "pulumi-language-go": "/bin/true", "k3s": "/bin/echo"}
	require.NoError(t, writeBin(lab, binaries))
	return lab, binaries
}

func TestTheProgramIsCompiledAsByMakeAndBesideItsPlace(t *testing.T) {
	lab, binaries := newLab(t)
	require.NoError(t, os.WriteFile(binaries["pulumi"], []byte("#!/bin/sh\necho \"$GOTMPDIR\" \"$GOFLAGS\"\n"),
		0o755))
	for set, want := range map[string]string{
		"-buildvcs=false": "-buildvcs=false " + programFlags,
		"-gcflags=all=-N": "-gcflags=all=-N",
	} {
		cmd := exec.Command(lab.CheckoutDir("bin", "pulumi"), "version")
		cmd.Env = append(os.Environ(), "GOFLAGS="+set)
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, string(out))
		assert.Equal(t, lab.CheckoutDir()+" "+want+"\n", string(out))
	}
}

func TestTheSaltStaysOutOfTheCheckout(t *testing.T) {
	lab, _ := newLab(t)
	settings := filepath.Join(lab.Checkout, "Pulumi.dev.yaml")
	copied := lab.Dir("pulumi", "Pulumi.dev.yaml")
	require.NoError(t, os.WriteFile(copied, []byte("encryptionsalt: v1:abc\n"), 0o644))
	pulumi := func(args ...string) string {
		cmd := exec.Command(lab.CheckoutDir("bin", "pulumi"), args...)
		cmd.Env = append(os.Environ(), "PULUMI_STACK=dev")
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, string(out))
		return string(out)
	}

	require.NoError(t, os.WriteFile(settings, []byte("config:\n  a: b\n"), 0o644))
	assert.Equal(t, "up --config-file "+copied+"\nconfig:\n  a: b\n\nencryptionsalt: v1:abc\n", pulumi("up"))

	require.NoError(t, os.WriteFile(settings, []byte("config:\n  a: c"), 0o644)) // an editor's last line
	assert.Equal(t, "preview --config-file "+copied+"\nconfig:\n  a: c\nencryptionsalt: v1:abc\n",
		pulumi("preview"), "a change of settings is lost")

	require.NoError(t, os.WriteFile(settings, []byte("encryptionsalt: v1:mine\n"), 0o644))
	assert.Equal(t, "up --config-file "+copied+"\nencryptionsalt: v1:mine\n", pulumi("up"),
		"the user's own salt is not taken")

	const plain, secret = "config:\n  a: c\n", "encryptionsalt: v1:mine\nconfig:\n  a:\n    secure: v1:xyz\n"
	for before, after := range map[string]string{
		secret: secret, "encryptionsalt: v1:mine\n" + plain: plain, plain: plain,
	} {
		require.NoError(t, os.WriteFile(settings, []byte(before), 0o644))
		assert.Equal(t, "config set a d\n", pulumi("config", "set", "a", "d"),
			"settings are not made in the checkout's file")
		left, err := os.ReadFile(settings)
		require.NoError(t, err)
		assert.Equal(t, after, string(left))
	}
}

func TestAnotherProjectHasItsOwnSettings(t *testing.T) {
	lab, _ := newLab(t)
	project := func(dir, name string) string {
		text := []byte("name: " + name + "\nruntime: go\n")
		require.NoError(t, os.WriteFile(filepath.Join(dir, "Pulumi.yaml"), text, 0o644))
		return dir
	}
	withSettings := "up --config-file " + lab.Dir("pulumi", "Pulumi.dev.yaml") + "\n\n"
	for dir, want := range map[string]string{
		project(lab.Checkout, "a"): withSettings, project(t.TempDir(), "a"): withSettings,
		project(t.TempDir(), "b"): "up\n", t.TempDir(): withSettings,
	} {
		cmd := exec.Command(lab.CheckoutDir("bin", "pulumi"), "up")
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "PULUMI_STACK=dev")
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, string(out))
		assert.Equal(t, want, string(out))
	}
}

func TestPulumiDoesNotStartWithoutItsSettings(t *testing.T) {
	lab, _ := newLab(t)
	require.NoError(t, os.Mkdir(filepath.Join(lab.Checkout, "Pulumi.dev.yaml"), 0o755)) // cannot be read
	copied := lab.Dir("pulumi", "Pulumi.dev.yaml")
	require.NoError(t, os.WriteFile(copied, []byte("config:\n  a: b\nencryptionsalt: v1:abc\n"), 0o644))
	cmd := exec.Command(lab.CheckoutDir("bin", "pulumi"), "up")
	cmd.Env = append(os.Environ(), "PULUMI_STACK=dev")
	out, err := cmd.CombinedOutput()
	require.Error(t, err)
	assert.Contains(t, string(out), "pulumi was not started, as it would lack settings: ")
	left, err := os.ReadFile(copied)
	require.NoError(t, err)
	assert.Equal(t, "config:\n  a: b\nencryptionsalt: v1:abc\n", string(left), "the salt is lost")
}

func TestPulumisThatStartAtTheSameTimeHaveAllSettings(t *testing.T) {
	lab, _ := newLab(t)
	copied := lab.Dir("pulumi", "Pulumi.dev.yaml")
	require.NoError(t, os.WriteFile(copied, []byte("encryptionsalt: v1:abc\n"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(lab.Checkout, "Pulumi.dev.yaml"), []byte("config:\n  a: b\n"),
		0o644))
	var shells sync.WaitGroup
	for range 20 {
		shells.Go(func() {
			cmd := exec.Command(lab.CheckoutDir("bin", "pulumi"), "preview")
			cmd.Env = append(os.Environ(), "PULUMI_STACK=dev")
			out, err := cmd.CombinedOutput()
			assert.NoError(t, err)
			assert.Equal(t, "preview --config-file "+copied+"\nconfig:\n  a: b\n\nencryptionsalt: v1:abc\n",
				string(out))
		})
	}
	shells.Wait()
}

func TestConfigFailsAsPulumiDoes(t *testing.T) {
	lab, binaries := newLab(t)
	require.NoError(t, os.WriteFile(binaries["pulumi"], []byte("#!/bin/sh\nexit 7\n"), 0o755))
	err := exec.Command(lab.CheckoutDir("bin", "pulumi"), "config", "get", "nothing").Run()
	require.EqualError(t, err, "exit status 7")
}

func TestTheEnvironmentWorksInAnyShell(t *testing.T) {
	lab, _ := newLab(t)
	variables, err := LabVariables(lab)
	require.NoError(t, err)
	path, err := WriteEnvironment(lab, append(environment(lab), variables...), lab.CheckoutDir("bin"))
	require.NoError(t, err)
	assert.Equal(t, filepath.Join(lab.Checkout, ".lab", "env"), path)

	out, err := exec.Command("sh", "-c", `. "$0"; . "$0"
echo "$KUBECONFIG $PULUMI_STACK $BUILDX_BUILDER $STATEFUL_K3S_REGISTRY $STATEFUL_K3S_INGRESS_ADDRESS"
kubectl hello; echo "$PATH"`, path).CombinedOutput()
	require.NoError(t, err)
	want := fmt.Sprintf("%s dev sk3s-dev 10.231.188.1:5000 10.231.188.10\nhello\n%s:%s\n", lab.Kubeconfig(),
		lab.CheckoutDir("bin"), os.Getenv("PATH"))
	assert.Equal(t, want, string(out))
}

// callPulumi returns the output of the lab's pulumi in an almost empty environment.
func callPulumi(t *testing.T, lab layout.Lab, home string, environment []string) string {
	t.Helper()
	cmd := exec.Command(lab.CheckoutDir("bin", "pulumi"), "version")
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + home,
		"GOFLAGS=-gcflags"}, environment...) // with this flag the wrapper does not run go
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	return strings.TrimSpace(string(out))
}

func TestTheLabsOwnPassphraseAndRegistryCount(t *testing.T) {
	lab, binaries := newLab(t)
	require.NoError(t, os.WriteFile(binaries["pulumi"], []byte(`#!/bin/sh
echo "${PULUMI_CONFIG_PASSPHRASE-none} $PULUMI_CONFIG_PASSPHRASE_FILE" \
	"${SSL_CERT_DIR-none} ${DOCKER_AUTH_CONFIG-none}"
`), 0o755))
	called := func(environment ...string) string { return callPulumi(t, lab, "/nowhere", environment) }
	passphrase := "none " + lab.Dir("passphrase")
	assert.Equal(t, passphrase+" none none", called("PULUMI_CONFIG_PASSPHRASE="), "a cluster of the user's own")

	require.NoError(t, os.WriteFile(lab.RegistryLogin(), []byte("{}\n"), 0o600))
	trust := lab.Dir("trust") + ":"
	assert.Equal(t, passphrase+" "+trust+"/etc/ssl/certs:/etc/pki/tls/certs {}",
		called("PULUMI_CONFIG_PASSPHRASE=own", "PULUMI_CONFIG_PASSPHRASE_FILE=/own"))
	assert.Equal(t, passphrase+" "+trust+"/own {}", called("SSL_CERT_DIR=/own", "DOCKER_AUTH_CONFIG=own"))
}

func TestBuildsHaveTheShellsProxiesUnlessDockerHasSome(t *testing.T) {
	lab, binaries := newLab(t)
	require.NoError(t, os.WriteFile(binaries["pulumi"],
		[]byte("#!/bin/sh\ncat \"${DOCKER_CONFIG-/dev/null}/config.json\" 2>/dev/null || echo none\n"), 0o755))
	require.NoError(t, os.WriteFile(lab.RegistryLogin(), []byte("{}\n"), 0o600))
	home := t.TempDir()
	called := func(environment ...string) string { return callPulumi(t, lab, home, environment) }
	assert.Equal(t, "none", called())
	assert.JSONEq(t, `{"proxies": {"default":
		{"httpProxy": "", "httpsProxy": "http://proxy:3128", "noProxy": "10.231.0.0/16"}}}`,
		called("https_proxy=http://proxy:3128", "NO_PROXY=10.231.0.0/16"))
	require.NoError(t, os.Mkdir(filepath.Join(home, ".docker"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(home, ".docker", "config.json"), []byte("{}"), 0o600))
	assert.Equal(t, "none", called("https_proxy=http://proxy:3128"), "Docker's configuration counts")
}

func TestAShellOfTheLabAsksNoProxyForIt(t *testing.T) {
	lab, _ := newLab(t)
	variables, err := LabVariables(lab)
	require.NoError(t, err)
	path, err := WriteEnvironment(lab, variables, "")
	require.NoError(t, err)
	const direct = "10.231.0.0/16,10.231.188.10.sslip.io,"
	for set, want := range map[string]string{
		"":                         direct,
		"no_proxy=own.example.com": direct + "own.example.com",
		"NO_PROXY=own.example.com": direct + "own.example.com",
		"NO_PROXY=own.example.com no_proxy=other.example.com": direct + "own.example.com",
	} {
		cmd := exec.Command("sh", "-euc", "unset no_proxy NO_PROXY; export LAB=x "+set+
			`; . "$0"; . "$0"; echo "$NO_PROXY $no_proxy"`, path)
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, string(out))
		assert.Equal(t, want+" "+want+"\n", string(out), set)
	}
}

func TestThePassphraseIsMadeOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "passphrase")
	require.NoError(t, makePassphrase(path))
	first, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, makePassphrase(path))
	second, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, first, second)
	assert.Len(t, first, 26)
	info, err := os.Stat(path)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}
