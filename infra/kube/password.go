package kube

import (
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// PasswordArgs says where a password comes from.
type PasswordArgs struct {
	// Override is the password; nil has one generated.
	Override pulumi.StringInput
	// Version is any text. A new one makes a new generated password.
	Version string
}

// NewPassword returns a secret password: the given one, or else 32 random bytes in URL-safe base64, which the
// stack's state keeps until Version changes or the stack is destroyed.
func NewPassword(ctx *pulumi.Context, name string, args PasswordArgs,
	opts ...pulumi.ResourceOption) (pulumi.StringOutput, error) {
	if args.Override != nil {
		return secret(args.Override), nil
	}
	random := make([]byte, 32)
	_, _ = rand.Read(random) // never fails, by its documentation
	return keep(ctx, "password", name, base64.RawURLEncoding.EncodeToString(random), args.Version, opts...)
}

// Digest returns 8 hexadecimal digits that change with the password, so that its pods can restart. They are
// no secret: guessing costs 100,000 rounds of PBKDF2 for each try, and one in 2³² of all passwords matches.
// Equal passwords of different names have different digests.
func Digest(name string, password pulumi.StringInput) pulumi.StringOutput {
	digest := password.ToStringOutput().ApplyT(func(p string) (string, error) {
		key, err := pbkdf2.Key(sha256.New, p, []byte(project+"/"+name), 100_000, 4)
		return hex.EncodeToString(key), err
	}).(pulumi.StringOutput)
	return pulumi.Unsecret(digest).(pulumi.StringOutput)
}
