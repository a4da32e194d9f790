package images

import v1 "github.com/google/go-containerregistry/pkg/v1"

// Prometheus returns an image with the server and promtool, which runs as uid 65534.
// Contract: https://hub.docker.com/r/prom/prometheus
func Prometheus() Image {
	return debian(stable, "prom/prometheus:v2.53.3", []string{"prometheus"}, []string{
		"rm -rf $1/etc/prometheus/* $1/var/lib/prometheus",
		"install -d -o 65534 -g 65534 $1/prometheus",
	}, v1.Config{
		Env: []string{path}, WorkingDir: "/prometheus", User: "65534:65534",
		Entrypoint: []string{"/bin/prometheus"},
		Cmd:        []string{"--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/prometheus"},
		Volumes:    map[string]struct{}{"/prometheus": {}}, ExposedPorts: map[string]struct{}{"9090/tcp": {}},
	})
}
