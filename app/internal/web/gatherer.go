package web

import (
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"golang.org/x/sync/singleflight"
)

// shared gathers metrics once for all who ask at the same time: of all work for an answer that is the most.
func shared(gatherer prometheus.Gatherer) prometheus.Gatherer {
	var group singleflight.Group
	return prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
		families, err, _ := group.Do("", func() (any, error) { return gatherer.Gather() })
		return families.([]*dto.MetricFamily), err
	})
}
