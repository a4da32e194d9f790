package config

import (
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/stateful-k3s/stateful-k3s/infra/storage"
)

// bucket returns nil without an endpoint, and then refuses the settings that only make sense with one.
func (r *reader) bucket() *storage.Bucket {
	const (
		endpointKey, prefixKey, caKey, networksKey = "s3Endpoint", "s3Prefix", "s3CA", "s3Networks"
		accessKey, secretKey                       = "s3AccessKey", "s3SecretKey"
	)
	endpoint := strings.TrimSuffix(r.text(endpointKey, optional(s3Endpoint), "https://s3.example.com"), "/")
	bucket := &storage.Bucket{
		Endpoint:  pulumi.String(endpoint),
		Region:    pulumi.String(r.text("s3Region", region, "us-east-1")),
		Name:      pulumi.String(r.text("s3Bucket", bucketName, "backups")),
		PathStyle: r.boolean("s3PathStyle", "true"),
		AccessKey: r.secret(accessKey, notEmpty, ""),
		SecretKey: r.secret(secretKey, notEmpty, ""),
		Networks:  r.networksOrInternet(networksKey, "10.0.0.0/8"),
	}
	if prefix := r.text(prefixKey, optional(bucketPrefix), "production"); prefix != "" {
		bucket.Prefix = pulumi.String(prefix)
	}
	if ca := r.text(caKey, optional(certificates), `"$(cat ca.crt)"`); ca != "" {
		bucket.Authorities = pulumi.String(ca)
	}
	if r.faulty(endpointKey) {
		return bucket
	}
	if endpoint == "" {
		for _, key := range []string{prefixKey, accessKey, secretKey, caKey, networksKey} {
			if !r.faulty(key) && r.read(key) != "" {
				r.fault(endpointKey, "not set, though %s is; for example: pulumi config set %s https://s3.example.com",
					key, endpointKey)
				break
			}
		}
		return nil
	}
	for _, key := range []string{accessKey, secretKey} {
		if r.read(key) == "" {
			r.fault(key, "not set, though %s is; set it with: pulumi config set --secret %s", endpointKey, key)
		}
	}
	r.checkReachable(endpointKey, networksKey)
	return bucket
}
