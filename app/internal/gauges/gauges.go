// Package gauges exports metrics that several apps have: how full a volume is, and until when a certificate
// is valid.
package gauges

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log/slog"
	"os"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sys/unix"
)

// collector measures at each scrape. It leaves out what it can't measure, and logs why.
type collector struct {
	descriptions []*prometheus.Desc
	measure      func() ([]float64, error)
}

func (c collector) Describe(descriptions chan<- *prometheus.Desc) {
	for _, description := range c.descriptions {
		descriptions <- description
	}
}

func (c collector) Collect(metrics chan<- prometheus.Metric) {
	values, err := c.measure()
	if err != nil {
		slog.Warn("a metric is missing", "error", err)
		return
	}
	for i, value := range values {
		metrics <- prometheus.MustNewConstMetric(c.descriptions[i], prometheus.GaugeValue, value)
	}
}

// Volume exports the size of the volume that is mounted at dir, and how much of it is left. The size is
// without what a file system keeps for root, as in df's percentages.
func Volume(name, dir string) prometheus.Collector {
	labels := prometheus.Labels{"volume": name}
	return collector{
		[]*prometheus.Desc{
			prometheus.NewDesc("volume_capacity_bytes", "Size of the volume.", nil, labels),
			prometheus.NewDesc("volume_available_bytes", "What is left of it for programs.", nil, labels),
		},
		func() ([]float64, error) {
			var s unix.Statfs_t
			if err := unix.Statfs(dir, &s); err != nil {
				return nil, fmt.Errorf("ask for the size of %s: %w", dir, err)
			}
			block := float64(s.Frsize)
			return []float64{float64(s.Blocks-s.Bfree+s.Bavail) * block, float64(s.Bavail) * block}, nil
		},
	}
}

// Certificate exports the period of the first certificate of a PEM file.
func Certificate(name, file string) prometheus.Collector {
	labels := prometheus.Labels{"certificate": name}
	return collector{
		[]*prometheus.Desc{
			prometheus.NewDesc("certificate_not_before_timestamp_seconds",
				"When the certificate becomes valid, in seconds since 1970.", nil, labels),
			prometheus.NewDesc("certificate_not_after_timestamp_seconds",
				"When it expires, in seconds since 1970.", nil, labels),
		},
		func() ([]float64, error) {
			content, err := os.ReadFile(file)
			if err != nil {
				return nil, fmt.Errorf("read the certificate: %w", err)
			}
			block, _ := pem.Decode(content)
			if block == nil {
				return nil, fmt.Errorf("read the certificate: %s has none", file)
			}
			certificate, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return nil, fmt.Errorf("read the certificate in %s: %w", file, err)
			}
			return []float64{float64(certificate.NotBefore.Unix()), float64(certificate.NotAfter.Unix())}, nil
		},
	}
}
