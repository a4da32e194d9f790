package config

import "github.com/pulumi/pulumi/sdk/v3/go/pulumi"

// passwords reads the password of a role of each database, or else that of all of them. A database that has
// neither is left out.
func (r *reader) passwords(key string) map[string]pulumi.StringInput {
	const example = `"$(openssl rand -hex 16)"`
	every := r.secret("postgres"+key, password, example)
	passwords := map[string]pulumi.StringInput{}
	for _, database := range databases {
		own := r.secret(database+"Postgres"+key, password, example)
		if own == nil {
			own = every
		}
		if own != nil {
			passwords[database] = own
		}
	}
	return passwords
}
