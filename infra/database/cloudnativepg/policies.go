package cloudnativepg

import (
	"fmt"
	"net/netip"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/stateful-k3s/stateful-k3s/infra/database/server"
	"github.com/stateful-k3s/stateful-k3s/infra/kube"
)

// statusPort is where the operator and the other servers ask a server about its state.
const statusPort = 8000

// allow lets clients connect to the servers, and the servers to each other and to the cluster's API.
func (s *Server) allow(ctx *pulumi.Context, name string, args Args, parent pulumi.ResourceOption) error {
	if err := args.AllowClients(ctx, name, s.Pods, parent); err != nil {
		return err
	}
	for _, c := range []struct {
		name, why string
		port      int
	}{{"peers", "replicates", server.Port}, {"state", "asks other servers about their state", statusPort}} {
		err := kube.Allow(ctx, name+"-"+c.name, kube.Connection{From: s.Pods, To: s.Pods, Port: c.port, Why: c.why},
			parent)
		if err != nil {
			return err
		}
	}
	return allowOperator(ctx, name, args, s.Pods, parent)
}

// allowOperator lets the operator connect to servers, and these to the cluster's API.
func allowOperator(ctx *pulumi.Context, name string, args Args, pods kube.Pods,
	parent pulumi.ResourceOption) error {
	err := kube.AllowFrom(ctx, name+"-operator", kube.Connection{
		From: args.Operator.pods(), To: pods, Port: statusPort, Why: "looks after the servers",
	}, parent)
	if err != nil {
		return err
	}
	byPort := map[uint16][]kube.Network{}
	for _, api := range args.APIServers {
		address := netip.PrefixFrom(api.Addr(), api.Addr().BitLen())
		byPort[api.Port()] = append(byPort[api.Port()], kube.Network{CIDR: address.String()})
	}
	for port, networks := range byPort {
		suffix := ""
		if len(byPort) > 1 {
			suffix = fmt.Sprint("-", port)
		}
		err := kube.AllowOutbound(ctx, name+"-api"+suffix, kube.Outbound{
			From: pods, Networks: networks, URL: pulumi.Sprintf("https://api:%d", port),
			Why: "asks the cluster's API which server is the primary",
		}, parent)
		if err != nil {
			return err
		}
	}
	return nil
}
