package settings

import (
	"cmp"
	"crypto/x509"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/stateful-k3s/stateful-k3s/app/internal/authorities"
)

// Bucket is a bucket of an S3 service.
type Bucket struct {
	Endpoint *url.URL
	Region   string
	Name     string
	// Prefix is the folder in the bucket.
	Prefix               string
	AccessKey, SecretKey string
	// PathStyle puts the bucket's name into the path of URLs instead of the host name.
	PathStyle bool
	// CAFile is an optional PEM file with additional authorities. Authorities includes them.
	CAFile      string
	Authorities *x509.CertPool
}

// Bucket reads $S3_ENDPOINT, $S3_REGION, $S3_BUCKET, $S3_PREFIX, $S3_PATH_STYLE and $S3_CA_FILE, and the keys
// from the files that $S3_ACCESS_KEY_FILE and $S3_SECRET_KEY_FILE name.
func (r *Reader) Bucket() Bucket {
	b := Bucket{
		Region:    r.Text("S3_REGION", "us-east-1", ""),
		Name:      r.Text("S3_BUCKET", "backups", ""),
		Prefix:    strings.Trim(r.Text("S3_PREFIX", "", "project"), "/"),
		AccessKey: r.File("S3_ACCESS_KEY_FILE"),
		SecretKey: r.File("S3_SECRET_KEY_FILE"),
		CAFile:    os.Getenv("S3_CA_FILE"),
	}
	var err error
	if b.Authorities, err = authorities.Load(b.CAFile); err != nil {
		r.Fault("S3_CA_FILE", "%v", err)
	}
	const example = "https://s3.example.com"
	endpoint, err := url.Parse(r.Text("S3_ENDPOINT", "", example))
	if err != nil || endpoint.Host == "" || endpoint.Scheme != "https" && endpoint.Scheme != "http" ||
		strings.Trim(endpoint.Path, "/") != "" {
		r.Fault("S3_ENDPOINT", "%q is not the address of an S3 service, such as %s",
			os.Getenv("S3_ENDPOINT"), example)
	}
	b.Endpoint = endpoint
	if b.PathStyle, err = strconv.ParseBool(cmp.Or(os.Getenv("S3_PATH_STYLE"), "true")); err != nil {
		r.Fault("S3_PATH_STYLE", "%q is neither true nor false", os.Getenv("S3_PATH_STYLE"))
	}
	return b
}
