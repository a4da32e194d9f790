package kube

import (
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"regexp"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// PasswordRule is what passwords of users have to be: Redis takes this length, and shells and command lines
// leave these characters alone.
const PasswordRule = "8 to 128 printable ASCII characters without spaces" // #nosec G101 -- a rule

var password = regexp.MustCompile(`^[!-~]{8,128}$`)

// ValidPassword tells whether a text follows the PasswordRule.
func ValidPassword(text string) bool { return password.MatchString(text) }

// PasswordArgs says where a password comes from.
type PasswordArgs struct {
	// Override is the password; nil for a generated one.
	Override pulumi.StringInput
	// Version is any text. Another one makes a new generated password.
	Version string
}

// NewPassword returns a secret password: the given one, or else 32 random bytes in URL-safe base64. The
// stack's state keeps those until Version changes or the stack is destroyed.
func NewPassword(ctx *pulumi.Context, name string, args PasswordArgs,
	opts ...pulumi.ResourceOption) (pulumi.StringOutput, error) {
	if args.Override != nil {
		return secret(args.Override), nil
	}
	random := make([]byte, 32)
	_, _ = rand.Read(random) // never fails, by its documentation
	return keep(ctx, "password", name, base64.RawURLEncoding.EncodeToString(random),
		pulumi.String(args.Version), opts...)
}

// Digest returns 8 hexadecimal digits that change with the password, for Pod.RestartOn. They are not secret:
// each guess at the password costs 100,000 rounds of PBKDF2, and one in 2³² wrong guesses matches. The name
// makes equal passwords have different digests.
func Digest(name string, password pulumi.StringInput) pulumi.StringOutput {
	digest := password.ToStringOutput().ApplyT(func(p string) (string, error) {
		key, err := pbkdf2.Key(sha256.New, p, []byte(project+"/"+name), 100_000, 4)
		return hex.EncodeToString(key), err
	}).(pulumi.StringOutput)
	return pulumi.Unsecret(digest).(pulumi.StringOutput)
}
