// Package recorder runs a Pulumi program against an engine that deploys nothing and records every resource.
package recorder

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/runtime"
)

// Project and Stack are what programs run in.
const (
	Project = "stateful-k3s"
	Stack   = "dev"
)

// Digest is the digest of every image.
const Digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// Recording holds what a program registered.
type Recording struct {
	mu        sync.Mutex
	resources map[resource.URN]*Resource
	outputs   map[resource.URN]resource.PropertyMap
	logs      []string
	faults    []error
}

// Resource is one registration.
type Resource struct {
	URN resource.URN
	// Inputs keep what is unknown and what is secret.
	Inputs resource.PropertyMap
	// Object is the Kubernetes object that the inputs decode to, or nil. Its unknown strings read Unknown.
	Object runtime.Object
	// Request holds the options.
	Request *pulumirpc.RegisterResourceRequest
}

// Option changes how a program is run.
type Option func(*runner)

type runner struct {
	preview bool
	failing string
	config  map[string]string
	secrets []string
	outputs map[string]resource.PropertyMap
	last    resource.PropertyMap
	kept    map[string]resource.PropertyValue
	stacks  map[string]resource.PropertyMap
	info    func(*pulumi.RunInfo)
}

// Preview runs the program as pulumi preview does on an empty stack, with every output of every resource
// unknown.
func Preview() Option { return func(r *runner) { r.preview = true } }

// Failing makes the registration of the resources of that name fail.
func Failing(name string) Option { return func(r *runner) { r.failing = name } }

// Config sets the settings, with the defaults already applied. The keys in secrets are encrypted. A key may
// belong to another project, such as kubernetes:context.
func Config(values map[string]string, secrets ...string) Option {
	return func(r *runner) { r.config, r.secrets = values, secrets }
}

// Outputs makes the plugin answer with these outputs for every resource of the type, in addition to its
// inputs.
func Outputs(token string, values resource.PropertyMap) Option {
	return func(r *runner) { r.outputs[token] = values }
}

// Last sets the stack's outputs after its last update.
func Last(outputs resource.PropertyMap) Option { return func(r *runner) { r.last = outputs } }

// Kept sets what the stash of that name has held since the last update.
func Kept(name string, value resource.PropertyValue) Option {
	return func(r *runner) { r.kept[name] = value }
}

// OtherStack sets the outputs of another stack, named organization/project/stack.
func OtherStack(name string, outputs resource.PropertyMap) Option {
	return func(r *runner) { r.stacks[name] = outputs }
}

// RunInfo changes what Pulumi tells the program about the stack.
func RunInfo(change func(*pulumi.RunInfo)) Option {
	return func(r *runner) { r.info = change }
}

// Run runs a program that must succeed.
func Run(t *testing.T, program pulumi.RunFunc, options ...Option) *Recording {
	t.Helper()
	recording, err := Try(t, program, options...)
	require.NoError(t, err)
	return recording
}

// Try runs a program and returns its error, joined with faults that the engine or the API server would find:
// a resource that is registered twice, an object with fields that its kind does not have, a warning.
func Try(t *testing.T, program pulumi.RunFunc, options ...Option) (*Recording, error) {
	t.Helper()
	run := &runner{
		outputs: map[string]resource.PropertyMap{}, kept: map[string]resource.PropertyValue{},
		stacks: map[string]resource.PropertyMap{},
		info:   func(*pulumi.RunInfo) {},
	}
	for _, option := range options {
		option(run)
	}
	run.setConfig(t)
	recording := &Recording{resources: map[resource.URN]*Resource{},
		outputs: map[resource.URN]resource.PropertyMap{}}
	server := &engine{recording: recording, preview: run.preview, outputs: run.outputs, last: run.last,
		kept: run.kept, stacks: run.stacks}
	address := server.serve(t)
	err := pulumi.RunErr(func(ctx *pulumi.Context) error {
		if run.failing != "" {
			if err := ctx.RegisterStackTransformation(run.refuse); err != nil {
				return err
			}
		}
		return program(ctx)
	}, func(info *pulumi.RunInfo) {
		info.Project, info.Stack, info.DryRun = Project, Stack, run.preview
		info.EngineAddr, info.MonitorAddr = address, address
	}, run.info)
	return recording, errors.Join(append(recording.faults, err)...)
}

// RequireErrors runs the program once for each name, makes the registration of that resource fail, and fails
// the test unless the error contains the message.
func RequireErrors(t *testing.T, program pulumi.RunFunc, messages map[string]string, options ...Option) {
	t.Helper()
	for failing, message := range messages {
		_, err := Try(t, program, append(slices.Clip(options), Failing(failing))...)
		require.ErrorContains(t, err, message)
	}
}

// setConfig sets the environment variables in which Pulumi passes settings to the program.
func (r *runner) setConfig(t *testing.T) {
	values, secrets := map[string]string{}, []string{}
	for key, value := range r.config {
		if !strings.Contains(key, ":") {
			key = Project + ":" + key
		}
		values[key] = value
	}
	for _, key := range r.secrets {
		secrets = append(secrets, Project+":"+key)
	}
	for variable, content := range map[string]any{pulumi.EnvConfig: values,
		pulumi.EnvConfigSecretKeys: secrets} {
		encoded, err := json.Marshal(content)
		require.NoError(t, err)
		t.Setenv(variable, string(encoded))
	}
}

// refuse makes the registration itself return an error, because the SDK forbids a transformation to change
// the parent. An error of the engine would surface only at the end of the program.
func (r *runner) refuse(args *pulumi.ResourceTransformationArgs) *pulumi.ResourceTransformationResult {
	if args.Name != r.failing {
		return nil
	}
	return &pulumi.ResourceTransformationResult{Props: args.Props,
		Opts: []pulumi.ResourceOption{pulumi.Parent(args.Resource)}}
}

func (r *Recording) add(recorded *Resource) {
	if isKubernetes(string(recorded.URN.Type())) {
		object, err := decode(recorded.Inputs)
		if err != nil {
			r.addFault(fmt.Errorf("decoding %s: %w", recorded.URN, err))
		}
		recorded.Object = object
	}
	r.mu.Lock()
	duplicate := r.resources[recorded.URN] != nil
	r.resources[recorded.URN] = recorded
	r.mu.Unlock()
	if duplicate {
		r.addFault(fmt.Errorf("%s is registered twice", recorded.URN))
	}
}

func (r *Recording) addOutputs(urn resource.URN, outputs resource.PropertyMap) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.outputs[urn] = outputs
}

func (r *Recording) addLog(message string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.logs = append(r.logs, message)
}

func (r *Recording) addFault(fault error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.faults = append(r.faults, fault)
}

// Outputs returns the outputs of the component of that name, or of the stack for "".
func (r *Recording) Outputs(name string) resource.PropertyMap {
	if name == "" {
		name = Project + "-" + Stack
	}
	for urn, outputs := range r.outputs {
		if urn.Name() == name {
			return outputs
		}
	}
	return nil
}

// Logs returns the messages to the user.
func (r *Recording) Logs() []string {
	return r.logs
}

// Get returns the one resource of the type and name.
func (r *Recording) Get(t *testing.T, token, name string) *Resource {
	t.Helper()
	var found []*Resource
	for _, recorded := range r.resources {
		if string(recorded.URN.Type()) == token && recorded.URN.Name() == name {
			found = append(found, recorded)
		}
	}
	require.Len(t, found, 1, "%s %s among %s", token, name, strings.Join(r.Names(), ", "))
	return found[0]
}

// Names lists every resource, sorted, as "parent/name type", or "name type" if its parent is the stack.
func (r *Recording) Names() []string {
	var names []string
	for _, recorded := range r.resources {
		name := recorded.URN.Name() + " " + string(recorded.URN.Type())
		if parent := recorded.Parent(); parent != "" {
			name = parent + "/" + name
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// All returns every resource, sorted.
func (r *Recording) All() []*Resource {
	var all []*Resource
	for _, recorded := range r.resources {
		all = append(all, recorded)
	}
	slices.SortFunc(all, func(a, b *Resource) int { return strings.Compare(string(a.URN), string(b.URN)) })
	return all
}

// Parent returns the name of the parent, or "" for the stack.
func (r *Resource) Parent() string {
	parent := resource.URN(r.Request.GetParent())
	if parent == "" || parent.QualifiedType() == resource.RootStackType {
		return ""
	}
	return parent.Name()
}

// DependsOn lists the names of the resources that the resource waits for, sorted.
func (r *Resource) DependsOn() []string {
	names := []string{}
	for _, urn := range r.Request.GetDependencies() {
		names = append(names, resource.URN(urn).Name())
	}
	slices.Sort(names)
	return names
}

// Provider returns the name of the explicit provider, or "".
func (r *Resource) Provider() string {
	reference := r.Request.GetProvider() // URN::ID
	if reference == "" {
		return ""
	}
	return resource.URN(reference[:strings.LastIndex(reference, "::")]).Name()
}
