package http

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"golang.org/x/crypto/bcrypt"
	"golang.org/x/sync/semaphore"

	"github.com/stateful-k3s/stateful-k3s/app/internal/web"
)

// maxChecks of passwords run at the same time, so that guessing leaves processor time for visitors who are
// known. A check takes from some milliseconds to a second, by the cost of the hash.
const maxChecks = 1

// Login lets in visitors who give the name and password of a user, by HTTP basic authentication. A nil Login
// lets everybody in.
type Login struct {
	hashes map[string][]byte // bcrypt's, by user
	checks *semaphore.Weighted

	// Browsers send the password with each request. It is compared with bcrypt once, and then with its digest.
	salt   [32]byte
	mu     sync.Mutex
	proven map[string][sha256.Size]byte // digests of right passwords, by user
}

// NewLogin takes users as NAME:HASH with white space between them, as htpasswd -B prints them. Without users
// it returns nil.
func NewLogin(users string) (*Login, error) {
	l := &Login{
		hashes: map[string][]byte{}, checks: semaphore.NewWeighted(maxChecks),
		proven: map[string][sha256.Size]byte{},
	}
	_, _ = rand.Read(l.salt[:]) // never fails, by its documentation
	for i, user := range strings.Fields(users) {
		name, hash, _ := strings.Cut(user, ":")
		if _, err := bcrypt.Cost([]byte(hash)); name == "" || err != nil {
			return nil, fmt.Errorf("user %d is not NAME:HASH, as htpasswd -nB NAME prints it", i+1)
		}
		l.hashes[name] = []byte(hash)
	}
	if len(l.hashes) == 0 {
		return nil, nil
	}
	return l, nil
}

// require answers 401 to visitors who are no users.
func (l *Login) require(next http.Handler) http.Handler {
	if l == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name, password, given := r.BasicAuth(); given && l.knows(r, name, password) {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="Todos", charset="UTF-8"`)
		web.Problem(w, http.StatusUnauthorized, "the todos are for users with a name and a password")
	})
}

func (l *Login) knows(r *http.Request, name, password string) bool {
	digest := sha256.Sum256(append(l.salt[:], password...))
	l.mu.Lock()
	proven, found := l.proven[name]
	l.mu.Unlock()
	if found && subtle.ConstantTimeCompare(proven[:], digest[:]) == 1 {
		return true
	}
	if l.checks.Acquire(r.Context(), 1) != nil {
		return false // the visitor has gone
	}
	defer l.checks.Release(1)
	hash, known := l.hashes[name]
	if !known {
		for _, hash = range l.hashes {
			break // takes as long as for a user, so nobody learns which names there are
		}
	}
	if bcrypt.CompareHashAndPassword(hash, []byte(password)) != nil || !known {
		return false
	}
	l.mu.Lock()
	l.proven[name] = digest
	l.mu.Unlock()
	return true
}
