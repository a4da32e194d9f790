package secrets

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/discovery"

	"github.com/stateful-k3s/stateful-k3s/e2e/internal/kube"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/lab"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/proc"
	"github.com/stateful-k3s/stateful-k3s/internal/state"
)

// public matches the keys of Secrets that hold nothing secret: certificates, names of accounts, and the parts
// of a database's address.
var public = regexp.MustCompile(
	`^(ca\.crt|tls\.crt|access-key|host|port|database|user|PG(HOST|PORT|DATABASE|USER|SSLMODE))$`)

// SearchForAll returns a search for every secret that the stack has.
func SearchForAll(c *kube.Cluster) *Search {
	s := NewSearch()
	require.NoError(c.T, s.AddData(Read(c)))
	for name, value := range stashed(c.T) {
		require.NoError(c.T, s.Add("stash "+name, value))
	}
	passphrase, err := os.ReadFile(os.Getenv("PULUMI_CONFIG_PASSPHRASE_FILE"))
	require.NoError(c.T, err)
	require.NoError(c.T, s.Add("passphrase of the state", string(passphrase)))
	return s
}

// AddData looks for the secret values of Secrets.
func (s *Search) AddData(data Data) error {
	for where, value := range data {
		if _, key, _ := strings.Cut(where, " "); public.MatchString(key) {
			continue
		}
		if err := s.Add("Secret "+where, value); err != nil {
			return err
		}
	}
	return nil
}

// stashed returns the generated secrets in the state by their names.
func stashed(t *testing.T) map[string]string {
	resources, err := state.Read(t.Context(), lab.Checkout)
	require.NoError(t, err)
	all := map[string]string{}
	for _, r := range resources {
		name := r.URN.Name()
		// Every client that logs in gets the salt, and every user of the stack knows the cluster's identity.
		if r.Type != "pulumi:index:Stash" || strings.HasSuffix(name, "-salt") || name == "cluster" {
			continue
		}
		value := r.Outputs["output"].(string)
		var certificate struct{ Key string }
		if json.Unmarshal([]byte(value), &certificate) == nil {
			value = certificate.Key
		}
		all[name] = value
	}
	return all
}

// InObjects searches all objects of the cluster but Secrets.
func (s *Search) InObjects(c *kube.Cluster) {
	groups, err := c.Discovery().ServerPreferredResources()
	require.NoError(c.T, err)
	for _, group := range discovery.FilteredBy(discovery.SupportsAllVerbs{Verbs: []string{"list"}}, groups) {
		path := "/apis/" + group.GroupVersion
		if !strings.Contains(group.GroupVersion, "/") {
			path = "/api/" + group.GroupVersion
		}
		for _, kind := range group.APIResources {
			if kind.Kind == "Secret" {
				continue
			}
			text, err := c.Discovery().RESTClient().Get().AbsPath(path, kind.Name).DoRaw(c.T.Context())
			require.NoError(c.T, err, kind.Name)
			var list struct{ Items []json.RawMessage }
			require.NoError(c.T, json.Unmarshal(text, &list), kind.Name)
			for _, item := range list.Items {
				var object metav1.PartialObjectMetadata
				require.NoError(c.T, json.Unmarshal(item, &object), kind.Name)
				place := fmt.Sprintf("object %s %s/%s", kind.Name, object.Namespace, object.Name)
				require.NoError(c.T, s.In(place, strings.NewReader(string(item))))
			}
		}
	}
}

// InProcesses searches arguments and environments of all processes of the lab. It returns the number of
// mounts below /run/secrets by file system.
func (s *Search) InProcesses(c *kube.Cluster) (mounted map[string]int) {
	mounted = map[string]int{}
	for _, process := range proc.Find(lab.Owns) {
		dir := proc.Dir(process)
		for _, name := range []string{"cmdline", "environ"} {
			require.NoError(c.T, s.In("process "+proc.Name(dir)+" "+name, strings.NewReader(proc.Read(dir, name))))
		}
		for line := range strings.Lines(proc.Read(dir, "mountinfo")) {
			mount, fileSystem, _ := strings.Cut(line, " - ")
			if strings.HasPrefix(strings.Fields(mount)[4], "/run/secrets/") {
				mounted[strings.Fields(fileSystem)[0]]++
			}
		}
	}
	return mounted
}

// notSearched are patterns of folders and files of a lab.
var notSearched = []string{
	"passphrase", "copies/*/passphrase", // where it belongs
	"node-0/lib/rancher/k3s/server/db", // where Kubernetes keeps Secrets
	// Images, which are searched in the registry, and the sources that they are built from.
	"node-0/lib/rancher/k3s/agent/containerd/io.containerd.content.v1.content",
	"node-0/lib/rancher/k3s/agent/containerd/io.containerd.snapshotter.v1.overlayfs",
	"buildkit/runc-overlayfs/content",
	"buildkit/runc-overlayfs/snapshots",
}

// InFiles searches the files of the lab: state, logs of its own parts and of all containers, images, volumes.
func (s *Search) InFiles(c *kube.Cluster) {
	dir := lab.Path("")
	skipped := map[string]bool{}
	for _, pattern := range notSearched {
		paths, err := filepath.Glob(filepath.Join(dir, pattern))
		require.NoError(c.T, err)
		for _, path := range paths {
			skipped[path] = true
		}
	}
	for _, root := range []string{dir, filepath.Join(lab.Checkout, ".lab", lab.Name())} {
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			switch {
			case errors.Is(err, fs.ErrNotExist): // it has been deleted meanwhile
				return nil
			case err != nil:
				return err
			case skipped[path] && entry.IsDir():
				return filepath.SkipDir
			case skipped[path] || !entry.Type().IsRegular():
				return nil
			}
			file, err := os.Open(path)
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			} else if err != nil {
				return err
			}
			defer file.Close()
			return s.In("file "+strings.TrimPrefix(path, dir+"/"), file)
		})
		require.NoError(c.T, err)
	}
}

// InOutput searches the output of a command, which has to succeed.
func (s *Search) InOutput(c *kube.Cluster, name string, args ...string) {
	output, err := proc.Command(lab.Checkout, name, args...).CombinedOutput()
	require.NoError(c.T, err, "%s", output)
	require.NoError(c.T, s.In("output of "+strings.Join(append([]string{name}, args...), " "),
		strings.NewReader(string(output))))
}
