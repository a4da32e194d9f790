// Package volumes tells the user where the stack's data is, and what a changed setting did with it.
package volumes

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// Settings decide where the data is.
type Settings struct {
	// Namespaces are names in the cluster, by names without the prefix.
	Namespaces map[string]string
	// Owner is the namespaces' label.
	Owner        string
	StorageClass string
	// Databases are their claims, as NAMESPACE/CLAIM, or their Clusters of CloudNativePG, by name.
	Databases map[string]string
	// Engines are what runs them, with the images in Postgres.
	Engines, Postgres map[string]string
}

// Outputs are outputs of the stack after its last up: its settings and images. They are empty before the
// first up.
type Outputs struct {
	// Images are repository:tag@digest, by app.
	Images     map[string]string `pulumi:"images"`
	Namespaces map[string]string `pulumi:"namespaces"`
	Volumes    struct {
		Owner        string            `pulumi:"owner"`
		StorageClass string            `pulumi:"storageClass"`
		Databases    map[string]string `pulumi:"databases"`
		Engines      map[string]string `pulumi:"engines"`
		Postgres     map[string]string `pulumi:"postgres"`
	} `pulumi:"volumes"`
}

// Last returns the outputs of the last up.
func Last(ctx *pulumi.Context) (Outputs, error) {
	var stack struct {
		Outputs Outputs `pulumi:"outputs"`
	}
	err := ctx.Invoke("pulumi:pulumi:readStackOutputs", &struct {
		Name string `pulumi:"name"`
	}{fmt.Sprintf("%s/%s/%s", ctx.Organization(), ctx.Project(), ctx.Stack())}, &stack)
	if err != nil {
		return Outputs{}, fmt.Errorf("reading the outputs of the last up: %w", err)
	}
	return stack.Outputs, nil
}

// Export makes the settings outputs of the stack. It logs what they have changed for the data since the last
// up.
func Export(ctx *pulumi.Context, last Outputs, now Settings) error {
	for _, notice := range now.changes(last) {
		if err := ctx.Log.Info(notice, nil); err != nil {
			return err
		}
	}
	ctx.Export("namespaces", pulumi.ToStringMap(now.Namespaces))
	ctx.Export("volumes", pulumi.Map{
		"owner":        pulumi.String(now.Owner),
		"storageClass": pulumi.String(now.StorageClass),
		"databases":    pulumi.ToStringMap(now.Databases),
		"engines":      pulumi.ToStringMap(now.Engines),
		"postgres":     pulumi.ToStringMap(now.Postgres),
	})
	// pulumi destroy shows the outputs, but does not run the program.
	ctx.Export("data", pulumi.String("is in the claims of the namespaces "+
		list(slices.Sorted(maps.Values(now.Namespaces)))+
		". They stay after a destroy, and the next up uses them again; only make purge deletes them"+
		now.running()))
	return nil
}

// changes tells what the settings have changed for the data since the last up.
func (s Settings) changes(last Outputs) (notices []string) {
	add := func(format string, args ...any) { notices = append(notices, fmt.Sprintf(format, args...)) }
	if was := last.Volumes.Owner; was != "" && was != s.Owner {
		add("The stack was %s, and is %s now. It keeps its namespaces, with all data.", was, s.Owner)
	}
	var left, back []string
	for _, name := range slices.Sorted(maps.Keys(last.Namespaces)) {
		was, is := last.Namespaces[name], s.Namespaces[name]
		if was == is {
			continue
		}
		left = append(left, was)
		switch {
		case is != "":
			back = append(back, fmt.Sprintf("namePrefix is %q again", strings.TrimSuffix(was, name)))
		case name == "storage":
			back = append(back, "s3Endpoint is removed")
		case name == "monitoring":
			back = append(back, "monitoring is builtin")
		default:
			back = append(back, "a database is in "+name+" again")
		}
	}
	if len(left) > 0 {
		add("Namespaces that are not used any more: %s. They stay, with the data in their claims, and are used "+
			"again when %s. To delete them for good: kubectl delete namespace %s",
			list(left), strings.Join(slices.Compact(back), " or "), strings.Join(left, " "))
	}
	notices = append(notices, s.left(last)...)
	if was := last.Volumes.StorageClass; was != "" && was != s.StorageClass {
		add("storageClass: new claims are of %s. Existing claims stay in %s, with their data. To move a database, "+
			"let it start with a new claim and restore it from the archive: docs/bad-day.md", s.StorageClass, was)
	}
	return notices
}

// list joins names as in "a, b and c".
func list(names []string) string {
	last := len(names) - 1
	if last < 1 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:last], ", ") + " and " + names[last]
}
