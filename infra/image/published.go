package image

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// Published are images that a stack has built: Registry/NAME:Tag of its Args.
type Published struct{ Registry, Tag string }

// Resolve asks the registry for the images, and returns their repository:tag@digest by name: a tag that moves
// changes no pod before the next update. While the registry does not answer, the references are the last
// ones. The error names each image that is not there. Without a login it takes the one of Docker's own
// configuration.
func (p Published) Resolve(ctx context.Context, names []string, last map[string]string,
	login authn.Authenticator) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(ctx, registryTimeout)
	defer cancel()
	found, faults := make([]string, len(names)), make([]error, len(names))
	var group sync.WaitGroup
	for i, app := range names {
		group.Go(func() { found[i], faults[i] = p.resolve(ctx, app, last[app], login) })
	}
	group.Wait()
	refs := map[string]string{}
	for i, app := range names {
		refs[app] = found[i]
	}
	return refs, errors.Join(faults...)
}

func (p Published) resolve(ctx context.Context, app, last string, login authn.Authenticator) (string, error) {
	ref := fmt.Sprintf("%s/%s:%s", p.Registry, app, p.Tag)
	tag, err := name.NewTag(ref)
	if err != nil {
		return "", fmt.Errorf("naming image %s: %w", app, err)
	}
	found, err := remote.Head(tag, options(ctx, login)...)
	var answer *transport.Error
	switch {
	case err == nil:
		return ref + "@" + found.Digest.String(), nil
	case errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound:
		return "", fmt.Errorf("the registry has no image %s", ref)
	case strings.HasPrefix(last, ref+"@"):
		return last, nil
	}
	return "", fmt.Errorf("asking the registry for the image %s: %w", ref, err)
}

// Variable returns a variable of an image's environment, or "" if the image has none or the registry does not
// answer.
func Variable(ctx context.Context, ref, variable string, login authn.Authenticator) string {
	ctx, cancel := context.WithTimeout(ctx, registryTimeout)
	defer cancel()
	digest, err := name.NewDigest(ref)
	if err != nil {
		return ""
	}
	found, err := remote.Image(digest, options(ctx, login)...)
	if err != nil {
		return ""
	}
	config, err := found.ConfigFile()
	if err != nil {
		return ""
	}
	for _, set := range config.Config.Env {
		if value, found := strings.CutPrefix(set, variable+"="); found {
			return value
		}
	}
	return ""
}

// Platforms returns the platforms that an image is for, such as linux/arm64, or nil if the registry does not
// answer.
func Platforms(ctx context.Context, ref string, login authn.Authenticator) (platforms []string) {
	ctx, cancel := context.WithTimeout(ctx, registryTimeout)
	defer cancel()
	digest, err := name.NewDigest(ref)
	if err != nil {
		return nil
	}
	found, err := remote.Get(digest, options(ctx, login)...)
	if err != nil {
		return nil
	}
	if !found.MediaType.IsIndex() {
		return platformOf(found)
	}
	index, err := found.ImageIndex()
	if err != nil {
		return nil
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil
	}
	for _, image := range manifest.Manifests {
		// What the builder says of an image has the platform unknown.
		if image.Platform != nil && image.Platform.OS != "unknown" {
			platforms = append(platforms, image.Platform.OS+"/"+image.Platform.Architecture)
		}
	}
	return platforms
}

func platformOf(found *remote.Descriptor) []string {
	image, err := found.Image()
	if err != nil {
		return nil
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil
	}
	return []string{config.OS + "/" + config.Architecture}
}
