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

// patience is how long the registry may take to answer.
const patience = 10 * time.Second

// Lost returns the keys of those references, repository:tag@digest, that the registry says it does not have.
// What a registry has that is away, or refuses, nobody knows, and so it is not lost. A nil login is the one
// of Docker's own configuration.
func Lost(ctx context.Context, refs map[string]string, login authn.Authenticator) map[string]bool {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	auth := remote.WithAuthFromKeychain(authn.DefaultKeychain)
	if login != nil {
		auth = remote.WithAuth(login)
	}
	lost := map[string]bool{}
	var lock sync.Mutex
	var group sync.WaitGroup
	for key, ref := range refs {
		group.Go(func() {
			digest, err := name.NewDigest(ref)
			if err != nil {
				return
			}
			_, err = remote.Head(digest, remote.WithContext(ctx), auth,
				remote.WithTransport(secretive{remote.DefaultTransport}))
			var answer *transport.Error
			if errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound {
				lock.Lock()
				defer lock.Unlock()
				lost[key] = true
			}
		})
	}
	group.Wait()
	return lost
}

// secretive tells no login to a registry without TLS, which whoever listens there may be.
type secretive struct{ http.RoundTripper }

func (s secretive) RoundTrip(request *http.Request) (*http.Response, error) {
	if request.URL.Scheme != "https" {
		request = request.Clone(request.Context())
		request.Header.Del("Authorization")
	}
	return s.RoundTripper.RoundTrip(request)
}
