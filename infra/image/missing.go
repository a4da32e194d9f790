package image

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// registryTimeout is how long the registry may take to answer.
const registryTimeout = 10 * time.Second

// Missing returns the keys of the references, repository:tag@digest, that the registry answers 404 to. When
// the registry is down or refuses, nothing counts as missing. Without a login it takes the one of Docker's
// own configuration.
func Missing(ctx context.Context, refs map[string]string, login authn.Authenticator) map[string]bool {
	ctx, cancel := context.WithTimeout(ctx, registryTimeout)
	defer cancel()
	missing := map[string]bool{}
	var lock sync.Mutex
	var group sync.WaitGroup
	for key, ref := range refs {
		group.Go(func() {
			digest, err := name.NewDigest(ref)
			if err != nil {
				return
			}
			_, err = remote.Head(digest, options(ctx, login)...)
			var answer *transport.Error
			if errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound {
				lock.Lock()
				defer lock.Unlock()
				missing[key] = true
			}
		})
	}
	group.Wait()
	return missing
}

// options ask with a login, or with the one of Docker's own configuration.
func options(ctx context.Context, login authn.Authenticator) []remote.Option {
	auth := remote.WithAuthFromKeychain(authn.DefaultKeychain)
	if login != nil {
		auth = remote.WithAuth(login)
	}
	return []remote.Option{remote.WithContext(ctx), auth,
		remote.WithTransport(tlsOnlyLogin{remote.DefaultTransport})}
}

// tlsOnlyLogin sends no login over plain HTTP, where anybody may listen.
type tlsOnlyLogin struct{ http.RoundTripper }

func (t tlsOnlyLogin) RoundTrip(request *http.Request) (*http.Response, error) {
	if request.URL.Scheme != "https" {
		request = request.Clone(request.Context())
		request.Header.Del("Authorization")
	}
	return t.RoundTripper.RoundTrip(request)
}
