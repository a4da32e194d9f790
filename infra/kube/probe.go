package kube

import (
	"time"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

const probePeriod = 5 * time.Second

// HTTPProbe gets a path. A status below 400 passes.
func HTTPProbe(path string, port int) corev1.ProbeArgs {
	return probe(corev1.ProbeArgs{HttpGet: corev1.HTTPGetActionArgs{Path: pulumi.String(path),
		Port: pulumi.Int(port)}})
}

// HTTPSProbe is HTTPProbe over TLS, with any certificate.
func HTTPSProbe(path string, port int) corev1.ProbeArgs {
	return probe(corev1.ProbeArgs{HttpGet: corev1.HTTPGetActionArgs{
		Path: pulumi.String(path), Port: pulumi.Int(port), Scheme: pulumi.String("HTTPS"),
	}})
}

// TCPProbe connects to a port.
func TCPProbe(port int) corev1.ProbeArgs {
	return probe(corev1.ProbeArgs{TcpSocket: corev1.TCPSocketActionArgs{Port: pulumi.Int(port)}})
}

// ExecProbe runs a command in the container. Exit status 0 passes.
func ExecProbe(command ...string) corev1.ProbeArgs {
	return probe(corev1.ProbeArgs{Exec: corev1.ExecActionArgs{Command: pulumi.ToStringArray(command)}})
}

// Within returns the probe as a startup probe: the container is restarted if it has not passed after about d.
func Within(d time.Duration, p corev1.ProbeArgs) corev1.ProbeArgs {
	const period = 2 * time.Second
	p.PeriodSeconds = seconds(period)
	p.FailureThreshold = pulumi.Int(int(d / period))
	return p
}

func probe(p corev1.ProbeArgs) corev1.ProbeArgs {
	p.PeriodSeconds = seconds(probePeriod)
	p.TimeoutSeconds = seconds(probePeriod)
	p.FailureThreshold = pulumi.Int(3)
	return p
}

func seconds(d time.Duration) pulumi.Int {
	return pulumi.Int(int(d.Seconds()))
}
