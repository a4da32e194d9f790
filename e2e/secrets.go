package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/discovery"
)

// publicKeys are those of Secrets that hold nothing secret: certificates, and names of accounts.
var publicKeys = map[string]bool{"ca.crt": true, "tls.crt": true, "access-key": true}

// searchForAll returns a search for every secret that the stack has.
func (c *cluster) searchForAll() *search {
	c.t.Helper()
	s := newSearch()
	require.NoError(c.t, s.addData(c.secretData()))
	for name, value := range c.stashed() {
		require.NoError(c.t, s.add("stash "+name, value))
	}
	passphrase, err := os.ReadFile(os.Getenv("PULUMI_CONFIG_PASSPHRASE_FILE"))
	require.NoError(c.t, err)
	require.NoError(c.t, s.add("passphrase of the state", string(passphrase)))
	return s
}

// addData has what is secret in Secrets looked for.
func (s *search) addData(data secretData) error {
	for where, value := range data {
		if _, key, _ := strings.Cut(where, " "); publicKeys[key] {
			continue
		}
		if err := s.add("Secret "+where, value); err != nil {
			return err
		}
	}
	return nil
}

// stashed is what the state keeps of generated secrets, by their names there.
func (c *cluster) stashed() map[string]string {
	c.t.Helper()
	all := map[string]string{}
	for _, r := range deployed(c.t) {
		name := r.URN.Name()
		// A salt is told to everybody who wants to log in, and which cluster the stack is on to everybody who works
		// on it.
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

// inObjects searches all that the cluster's API has, but Secrets.
func (s *search) inObjects(c *cluster) {
	c.t.Helper()
	groups, err := c.Discovery().ServerPreferredResources()
	require.NoError(c.t, err)
	for _, group := range discovery.FilteredBy(discovery.SupportsAllVerbs{Verbs: []string{"list"}}, groups) {
		path := "/apis/" + group.GroupVersion
		if !strings.Contains(group.GroupVersion, "/") {
			path = "/api/" + group.GroupVersion
		}
		for _, kind := range group.APIResources {
			if kind.Kind == "Secret" {
				continue
			}
			text, err := c.Discovery().RESTClient().Get().AbsPath(path, kind.Name).DoRaw(c.t.Context())
			require.NoError(c.t, err, kind.Name)
			var list struct{ Items []json.RawMessage }
			require.NoError(c.t, json.Unmarshal(text, &list), kind.Name)
			for _, item := range list.Items {
				var object metav1.PartialObjectMetadata
				require.NoError(c.t, json.Unmarshal(item, &object), kind.Name)
				place := fmt.Sprintf("object %s %s/%s", kind.Name, object.Namespace, object.Name)
				require.NoError(c.t, s.in(place, strings.NewReader(string(item))))
			}
		}
	}
}

// inProcesses searches arguments and environments of all processes of the lab, and returns what its pods have
// mounted below /run/secrets, by kind of file system.
func (s *search) inProcesses(c *cluster) (mounted map[string]int) {
	c.t.Helper()
	mounted = map[string]int{}
	for _, process := range findProcesses(func(dir string) bool {
		return strings.Contains(read(dir, "cgroup"), "/sk3s-"+labName()+"/")
	}) {
		dir := fmt.Sprintf("/proc/%d", process)
		for _, name := range []string{"cmdline", "environ"} {
			require.NoError(c.t, s.in("process "+strings.TrimSpace(read(dir, "comm"))+" "+name,
				strings.NewReader(read(dir, name))))
		}
		for line := range strings.Lines(read(dir, "mountinfo")) {
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
	"passphrase", "copies/*/passphrase", // which are its places
	"node-0/lib/rancher/k3s/server/db", // where Kubernetes keeps Secrets
	// Images, which are searched as the registry has them, and the sources that they are built from.
	"node-0/lib/rancher/k3s/agent/containerd/io.containerd.content.v1.content",
	"node-0/lib/rancher/k3s/agent/containerd/io.containerd.snapshotter.v1.overlayfs",
	"buildkit/runc-overlayfs/content",
	"buildkit/runc-overlayfs/snapshots",
}

// inFiles searches the files of the lab: state, logs of its own parts and of all containers, images, volumes.
func (s *search) inFiles(c *cluster) {
	c.t.Helper()
	lab := filepath.Join(labs, labName())
	skipped := map[string]bool{}
	for _, pattern := range notSearched {
		paths, err := filepath.Glob(filepath.Join(lab, pattern))
		require.NoError(c.t, err)
		for _, path := range paths {
			skipped[path] = true
		}
	}
	for _, root := range []string{lab, filepath.Join(checkout, ".lab", labName())} {
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			switch {
			case errors.Is(err, fs.ErrNotExist): // it has gone meanwhile
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
			return s.in("file "+strings.TrimPrefix(path, lab+"/"), file)
		})
		require.NoError(c.t, err)
	}
}

// inOutput searches what a command writes, which has to succeed.
func (s *search) inOutput(c *cluster, name string, args ...string) {
	c.t.Helper()
	output, err := command(checkout, name, args...).CombinedOutput()
	require.NoError(c.t, err, "%s", output)
	require.NoError(c.t, s.in("output of "+strings.Join(append([]string{name}, args...), " "),
		strings.NewReader(string(output))))
}
