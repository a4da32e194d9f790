// Package server has what the clients of a database server need, whatever runs it.
package server

import (
	"slices"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/stateful-k3s/stateful-k3s/infra/kube"
)

// Port is the server's port.
const Port = 5432

// MetricsPort is the port of metrics of the server.
const MetricsPort = 9187

// User is postgres in the official image. A server does not start as a user without a name.
const User = 999

// Roles in addition to the superuser and the owner, which has the database's name.
const (
	ReaderRole   = "reader"
	RestorerRole = "restorer"
	ExporterRole = "exporter"
)

// Server is a Postgres server with one database.
type Server struct {
	// Database is the name of the database.
	Database string
	// Address is host:port of the server inside the cluster.
	Address pulumi.StringOutput
	// Pods run the server. No pod connects to their Port until a kube.Connection allows it.
	Pods kube.Pods
	// Owner logs in as the role that owns the database, Reader as a role that can read all of it, Restorer as a
	// superuser.
	Owner, Reader, Restorer Client

	ready []pulumi.Resource
}

// Ready makes a resource wait until the server answers. To depend on the server's component is not enough:
// Pulumi leaves out children that are still being registered.
func (s Server) Ready() pulumi.ResourceOption {
	return pulumi.DependsOn(s.ready)
}

// After returns the same server with a Ready that also waits for r, such as the Job that restores the
// database.
func (s Server) After(r pulumi.Resource) Server {
	s.ready = append(slices.Clip(s.ready), r)
	return s
}
