package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/versity/versitygw/auth"
)

// accountName allows no character with a meaning in a path or a policy.
var accountName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,126}$`)

// accounts reads the accounts from the files of a folder.
type accounts struct {
	// IAMService refuses to change accounts: only their files do.
	auth.IAMService
	dir   string
	names []string
}

// findAccounts returns the accounts that have a file in the folder now.
func findAccounts(dir string) (*accounts, error) {
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("read ACCOUNTS_DIR: %w", err)
	}
	a := &accounts{IAMService: auth.NewIAMServiceSingle(auth.Account{}), dir: dir}
	for _, file := range files {
		name := file.Name()
		if strings.HasPrefix(name, "..") {
			continue // the folders of a mounted Secret
		}
		if !accountName.MatchString(name) {
			return nil, fmt.Errorf("ACCOUNTS_DIR: %q is no name of an account: take up to 127 small letters, "+
				"digits, hyphens and underscores, with a letter or digit at the start", name)
		}
		if _, err := a.secret(name); err != nil {
			return nil, err
		}
		a.names = append(a.names, name)
	}
	if len(a.names) == 0 {
		return nil, fmt.Errorf("ACCOUNTS_DIR: %s holds no account; put a file there: its name is the access key, "+
			"its content the secret key", dir)
	}
	return a, nil
}

// GetUserAccount reads the secret key each time, so that a new one needs no restart.
func (a *accounts) GetUserAccount(access string) (auth.Account, error) {
	if !slices.Contains(a.names, access) {
		return auth.Account{}, auth.ErrNoSuchUser
	}
	secret, err := a.secret(access)
	if err != nil {
		return auth.Account{}, err
	}
	return auth.Account{Access: access, Secret: secret, Role: auth.RoleUser}, nil
}

func (a *accounts) secret(name string) (string, error) {
	content, err := os.ReadFile(filepath.Join(a.dir, name))
	if err != nil {
		return "", fmt.Errorf("read the secret key of account %s: %w", name, err)
	}
	secret := strings.TrimSpace(string(content))
	if secret == "" {
		return "", errors.New("the secret key of account " + name + " is empty")
	}
	return secret, nil
}

// bucketPolicy gives each account its own prefix of the bucket, and nothing else.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/amazon-s3-policy-keys.html
func bucketPolicy(bucket string, accounts []string) ([]byte, error) {
	type statement struct {
		Effect, Principal string
		Action            []auth.Action
		Resource          string
		Condition         map[string]map[string]string `json:",omitempty"`
	}
	policy := struct {
		Version   auth.PolicyVersion
		Statement []statement
	}{Version: auth.PolicyVersion2012}
	arn := auth.ResourceArnPrefix + bucket
	for _, account := range accounts {
		policy.Statement = append(policy.Statement, statement{
			Effect:    "Allow",
			Principal: account,
			Action: []auth.Action{
				auth.GetObjectAction, auth.PutObjectAction, auth.DeleteObjectAction,
				auth.ListMultipartUploadPartsAction, auth.AbortMultipartUploadAction,
			},
			Resource: arn + "/" + account + "/*",
		}, statement{
			Effect:    "Allow",
			Principal: account,
			Action:    []auth.Action{auth.ListBucketAction, auth.ListBucketMultipartUploadsAction},
			Resource:  arn,
			Condition: map[string]map[string]string{"StringLike": {"s3:prefix": account + "/*"}},
		})
	}
	text, err := json.Marshal(policy)
	if err != nil {
		return nil, fmt.Errorf("encode the policy of the bucket: %w", err)
	}
	return text, nil
}
