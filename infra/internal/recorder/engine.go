package recorder

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"sync"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
)

// engine is the part of Pulumi's engine that a program talks to. The mocks of Pulumi's SDK are not enough:
// they overwrite duplicates, drop unknown values, fail on unknown secrets, and do not show the stack's
// outputs.
type engine struct {
	pulumirpc.UnimplementedEngineServer
	pulumirpc.UnimplementedResourceMonitorServer

	recording *Recording
	preview   bool
	outputs   map[string]resource.PropertyMap
	last      resource.PropertyMap
	kept      map[string]resource.PropertyValue
	stacks    map[string]resource.PropertyMap
	rootURN   string
	hooks     sync.Map // callbacks by the names of hooks
}

// keepAll passes everything on from the program to the recording.
var keepAll = plugin.MarshalOptions{KeepUnknowns: true, KeepSecrets: true, KeepResources: true}

// serve returns the engine's address.
func (e *engine) serve(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := grpc.NewServer()
	pulumirpc.RegisterEngineServer(server, e)
	pulumirpc.RegisterResourceMonitorServer(server, e)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return listener.Addr().String()
}

// RegisterResource runs the hooks, and records the request.
func (e *engine) RegisterResource(ctx context.Context,
	request *pulumirpc.RegisterResourceRequest) (*pulumirpc.RegisterResourceResponse, error) {
	recorded := &Resource{Request: request}
	var parentType tokens.Type
	if recorded.Parent() != "" {
		parentType = resource.URN(request.GetParent()).QualifiedType()
	}
	token := tokens.Type(request.GetType())
	recorded.URN = resource.NewURN(Stack, Project, parentType, token, request.GetName())
	if token == resource.RootStackType {
		return &pulumirpc.RegisterResourceResponse{Urn: string(recorded.URN)}, nil
	}

	var err error
	recorded.Inputs, err = plugin.UnmarshalProperties(request.GetObject(), keepAll)
	if err != nil {
		return nil, err
	}
	for _, name := range request.GetHooks().GetBeforeCreate() {
		if err := e.callHook(ctx, name, request); err != nil {
			return nil, err
		}
	}
	e.recording.add(recorded)
	response := &pulumirpc.RegisterResourceResponse{Urn: string(recorded.URN)}
	kept, before := e.kept[request.GetName()]
	if e.preview && !before || !request.GetCustom() {
		return response, nil
	}
	outputs := e.answer(request.GetType(), recorded.Inputs)
	if before {
		outputs["output"] = kept
	}
	response.Id = request.GetName() + "-id"
	response.Object, err = plugin.MarshalProperties(outputs, keepAll)
	return response, err
}

// ReadResource answers with the outputs of another stack.
func (e *engine) ReadResource(_ context.Context,
	request *pulumirpc.ReadResourceRequest) (*pulumirpc.ReadResourceResponse, error) {
	outputs, found := e.stacks[request.GetId()]
	if request.GetType() != "pulumi:pulumi:StackReference" || !found {
		return nil, fmt.Errorf("there is no %s %q", request.GetType(), request.GetId())
	}
	properties, err := plugin.MarshalProperties(resource.PropertyMap{
		"name": resource.NewProperty(request.GetId()), "outputs": resource.NewProperty(outputs),
	}, keepAll)
	urn := resource.NewURN(Stack, Project, "", tokens.Type(request.GetType()), request.GetName())
	return &pulumirpc.ReadResourceResponse{Urn: string(urn), Properties: properties}, err
}

// answer returns the outputs that plugins would, as far as programs read them.
func (e *engine) answer(token string, inputs resource.PropertyMap) resource.PropertyMap {
	outputs := inputs.Copy()
	switch token {
	case "pulumi:index:Stash":
		outputs["output"] = inputs["input"]
	case "docker-build:index:Image":
		outputs["ref"] = resource.NewProperty(inputs["tags"].ArrayValue()[0].StringValue() + "@" + Digest)
	}
	maps.Copy(outputs, e.outputs[token])
	return outputs
}

// RegisterResourceHook remembers the callback.
func (e *engine) RegisterResourceHook(_ context.Context,
	request *pulumirpc.RegisterResourceHookRequest) (*emptypb.Empty, error) {
	if e.preview && !request.GetOnDryRun() {
		return nil, fmt.Errorf("a preview would do without the hook %q", request.GetName())
	}
	e.hooks.Store(request.GetName(), request.GetCallback())
	return &emptypb.Empty{}, nil
}

// callHook calls a hook that runs before a resource is created.
func (e *engine) callHook(ctx context.Context, name string,
	resource *pulumirpc.RegisterResourceRequest) error {
	hook, _ := e.hooks.Load(name)
	callback := hook.(*pulumirpc.Callback)
	connection, err := grpc.NewClient(callback.GetTarget(),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer connection.Close()
	request, err := proto.Marshal(&pulumirpc.ResourceHookRequest{Name: resource.GetName(),
		Type: resource.GetType(), NewInputs: resource.GetObject()})
	if err != nil {
		return err
	}
	answer, err := pulumirpc.NewCallbacksClient(connection).Invoke(ctx,
		&pulumirpc.CallbackInvokeRequest{Token: callback.GetToken(), Request: request})
	if err != nil {
		return err
	}
	var response pulumirpc.ResourceHookResponse
	if err := proto.Unmarshal(answer.GetResponse(), &response); err != nil {
		return err
	}
	if response.GetError() != "" {
		return fmt.Errorf("before hook %q failed: %s", name, response.GetError())
	}
	return nil
}

// RegisterResourceOutputs records the outputs of stack and components.
func (e *engine) RegisterResourceOutputs(_ context.Context,
	request *pulumirpc.RegisterResourceOutputsRequest) (*emptypb.Empty, error) {
	outputs, err := plugin.UnmarshalProperties(request.GetOutputs(), keepAll)
	if err != nil {
		return nil, err
	}
	e.recording.addOutputs(resource.URN(request.GetUrn()), outputs)
	return &emptypb.Empty{}, nil
}

// Invoke answers with the outputs that the stack had after its last update.
func (e *engine) Invoke(_ context.Context,
	request *pulumirpc.ResourceInvokeRequest) (*pulumirpc.ResourceInvokeResponse, error) {
	name := request.GetArgs().GetFields()["name"].GetStringValue()
	if request.GetTok() != "pulumi:pulumi:readStackOutputs" || name != "organization/"+Project+"/"+Stack {
		return nil, fmt.Errorf("there is no %s of %q", request.GetTok(), name)
	}
	answer, err := plugin.MarshalProperties(resource.PropertyMap{"outputs": resource.NewProperty(e.last)},
		keepAll)
	return &pulumirpc.ResourceInvokeResponse{Return: answer}, err
}

// Log records messages to the user. It takes every warning for a fault of the program.
func (e *engine) Log(_ context.Context, request *pulumirpc.LogRequest) (*emptypb.Empty, error) {
	switch request.GetSeverity() {
	case pulumirpc.LogSeverity_WARNING:
		e.recording.addFault(errors.New(request.GetMessage()))
	case pulumirpc.LogSeverity_INFO:
		e.recording.addLog(request.GetMessage())
	}
	return &emptypb.Empty{}, nil
}

// GetDeploymentInfo names the features of the engine that change requests.
func (e *engine) GetDeploymentInfo(context.Context, *emptypb.Empty) (*pulumirpc.DeploymentInfo, error) {
	return &pulumirpc.DeploymentInfo{SupportedFeatures: []pulumirpc.ResourceMonitorFeature{
		pulumirpc.ResourceMonitorFeature_RESOURCE_MONITOR_FEATURE_SECRETS,
		pulumirpc.ResourceMonitorFeature_RESOURCE_MONITOR_FEATURE_RESOURCE_REFERENCES,
		pulumirpc.ResourceMonitorFeature_RESOURCE_MONITOR_FEATURE_ALIAS_SPECS,
		pulumirpc.ResourceMonitorFeature_RESOURCE_MONITOR_FEATURE_REPLACEMENT_TRIGGER,
		pulumirpc.ResourceMonitorFeature_RESOURCE_MONITOR_FEATURE_DELETED_WITH,
		pulumirpc.ResourceMonitorFeature_RESOURCE_MONITOR_FEATURE_RESOURCE_HOOKS,
	}}, nil
}

// SetRootResource remembers the stack.
func (e *engine) SetRootResource(_ context.Context,
	request *pulumirpc.SetRootResourceRequest) (*pulumirpc.SetRootResourceResponse, error) {
	e.rootURN = request.GetUrn()
	return &pulumirpc.SetRootResourceResponse{}, nil
}

// GetRootResource returns the stack.
func (e *engine) GetRootResource(context.Context,
	*pulumirpc.GetRootResourceRequest) (*pulumirpc.GetRootResourceResponse, error) {
	return &pulumirpc.GetRootResourceResponse{Urn: e.rootURN}, nil
}

// SignalAndWaitForShutdown lets the program end.
func (e *engine) SignalAndWaitForShutdown(context.Context, *emptypb.Empty) (*emptypb.Empty, error) {
	return &emptypb.Empty{}, nil
}
