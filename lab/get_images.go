package main

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/stateful-k3s/stateful-k3s/lab/images"
	"github.com/stateful-k3s/stateful-k3s/lab/layout"
	"github.com/stateful-k3s/stateful-k3s/lab/tools"
)

// listImages returns the images of the lab and its stack.
func listImages(ctx context.Context, lab layout.Lab) (base, system []images.Image, err error) {
	settings, err := readSettings(lab)
	if err != nil {
		return nil, nil, err
	}
	return images.All(ctx, toolsOf(lab), wantedImages(settings))
}

// wantedImages returns what the stack may need: the default Postgres and one for each image on Docker Hub in
// its settings, and the operator, its plugin, Prometheus and Valkey if a setting names them.
func wantedImages(settings map[string]any) (wanted images.Wanted) {
	found := map[int]bool{images.DefaultPostgres: true}
	var look func(any)
	look = func(value any) {
		switch value := value.(type) {
		case map[string]any:
			for _, inner := range value {
				look(inner)
			}
		case []any:
			for _, inner := range value {
				look(inner)
			}
		case string:
			wanted.Prometheus = wanted.Prometheus || value == builtinPrometheus
			wanted.CloudNativePG = wanted.CloudNativePG || value == tools.CloudNativePG
			wanted.Valkey = wanted.Valkey || value == images.Valkey
			if parts := postgresImage.FindStringSubmatch(value); parts != nil {
				major, _ := strconv.Atoi(parts[1])
				found[major] = true
			}
		}
	}
	look(settings)
	wanted.BarmanCloud = archives(settings)
	wanted.Postgres = slices.Sorted(maps.Keys(found))
	return wanted
}

// archives reports whether a database of the operator is archived. What its entry does not say is as it is
// for all databases, which have an archive by default.
func archives(settings map[string]any) bool {
	all := map[string]any{"archive": true}
	for key, value := range settings {
		_, name, _ := strings.Cut(key, ":")
		all[name] = value
	}
	entries, _ := all["databases"].([]any)
	return slices.ContainsFunc(append(entries, map[string]any{}), func(entry any) bool {
		database := maps.Clone(all)
		own, _ := entry.(map[string]any)
		maps.Copy(database, own)
		return database["engine"] == tools.CloudNativePG && fmt.Sprint(database["archive"]) == "true"
	})
}

// builtinPrometheus is the value of the setting monitoring for which the stack runs one.
const builtinPrometheus = "builtin"

var postgresImage = regexp.MustCompile(`^(?:docker\.io/)?(?:library/)?postgres:(\d{1,4})$`)

// listImages with all adds what only some settings need.
func (s *setup) listImages(ctx context.Context) error {
	settings, err := readSettings(s.lab)
	if err != nil {
		return err
	}
	wanted := wantedImages(settings)
	if s.all {
		wanted.CloudNativePG, wanted.BarmanCloud, wanted.Prometheus = true, true, true
	}
	s.base, s.system, err = images.All(ctx, toolsOf(s.lab), wanted)
	s.tools = func() []tools.Tool { return neededTools(s.lab, s.system) }
	return err
}

func (s *setup) pullSystemImages(ctx context.Context) error {
	return images.Pull(ctx, s.lab.Cache, s.system)
}

// getBaseImages assembles the images that Docker Hub does not provide. Assembling system images is a part of
// startCluster.
func (s *setup) getBaseImages(ctx context.Context) error {
	if err := images.Pull(ctx, s.lab.Cache, s.base); err != nil {
		return err
	}
	if len(images.Missing(s.lab.Cache, s.base)) == 0 {
		return nil
	}
	return asRoot("assemble")(ctx, s.lab)
}

func assembleBaseImages(ctx context.Context, lab layout.Lab) error {
	base, _, err := listImages(ctx, lab)
	if err != nil {
		return err
	}
	return assemble(ctx, lab, base)
}

// assemble assembles images as root. The cache stays the user's.
func assemble(ctx context.Context, lab layout.Lab, wanted []images.Image) error {
	if err := images.Assemble(ctx, lab.Cache, wanted); err != nil {
		return err
	}
	return owner().Own(filepath.Join(lab.Cache, "images"))
}
