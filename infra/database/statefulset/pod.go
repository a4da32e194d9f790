package statefulset

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/stateful-k3s/stateful-k3s/infra/database/server"
	"github.com/stateful-k3s/stateful-k3s/infra/kube"
	"github.com/stateful-k3s/stateful-k3s/infra/storage"
)

const (
	// The image declares other folders as volumes, and differs in them between major versions.
	dataDir   = "/data"
	pgdata    = dataDir + "/pgdata"
	configDir = "/etc/postgresql"
	socketDir = "/var/run/postgresql"
	setupDir  = "/run/secrets/postgres-setup"
	serverDir = "/run/secrets/postgres-server"
	exportDir = "/run/secrets/postgres-exporter"
)

// stopSeconds covers a fast shutdown. Its checkpoint writes all changed pages in memory.
const stopSeconds = 120

// podSpec returns the spec of the server's pod; archive is nil without an archive.
func podSpec(args Args, archive *storage.Client) corev1.PodSpecArgs {
	main := serverContainer(args)
	containers := corev1.ContainerArray{main, exporterContainer(args)}
	volumes := podVolumes(args, newNames(args.Prefix))
	if archive != nil {
		main.Env = slices.Concat(main.Env.(corev1.EnvVarArray), archive.Env,
			corev1.EnvVarArray{archiveQueue(args)})
		main.VolumeMounts = append(serverMounts(args), archive.Mount)
		containers = corev1.ContainerArray{main, exporterContainer(args), archiverContainer(args, archive)}
		volumes = append(volumes, archive.Volume,
			corev1.VolumeArgs{Name: pulumi.String(archiver), EmptyDir: corev1.EmptyDirVolumeSourceArgs{}})
	}
	before, after, old := args.Version.move(args)
	return corev1.PodSpecArgs{
		InitContainers:                slices.Concat(before, corev1.ContainerArray{setupContainer(args)}, after),
		Containers:                    containers,
		TerminationGracePeriodSeconds: pulumi.Int(stopSeconds),
		Volumes:                       slices.Concat(volumes, old),
	}
}

func serverMounts(args Args) corev1.VolumeMountArray {
	return corev1.VolumeMountArray{
		kube.Mount(args.Version.Template, dataDir),
		kube.Mount("socket", socketDir),
		kube.Mount("shm", "/dev/shm"),
		kube.ReadOnly("config", configDir),
		kube.ReadOnly("server", serverDir),
	}
}

// serverResources are for the setup container too, which starts the server.
func serverResources(args Args) kube.Resources {
	return kube.Resources{CPU: "100m", CPULimit: "2", Memory: args.Memory}
}

func setupContainer(args Args) corev1.ContainerArgs {
	env := corev1.EnvVarArray{
		kube.Env("VOLUME", dataDir), kube.Env("PGDATA", pgdata), kube.Env("CONFIG", configDir),
		kube.Env("DATABASE", args.Database),
	}
	if len(args.Extensions) > 0 {
		env = append(env, kube.Env("EXTENSIONS", strings.Join(args.Extensions, " ")))
	}
	return kube.Container(server.User, serverResources(args), corev1.ContainerArgs{
		Name:         pulumi.String("setup"),
		Image:        args.Image,
		Command:      pulumi.ToStringArray([]string{"sh", configDir + "/setup.sh"}),
		Env:          env,
		VolumeMounts: append(serverMounts(args), kube.ReadOnly("setup", setupDir)),
		// The pod's status then says why the data was refused.
		TerminationMessagePolicy: pulumi.String("FallbackToLogsOnError"),
	})
}

func serverContainer(args Args) corev1.ContainerArgs {
	return kube.Container(server.User, serverResources(args), corev1.ContainerArgs{
		Name:  pulumi.String(Container),
		Image: args.Image,
		Command: pulumi.ToStringArray([]string{
			"flock", "--no-fork", "--timeout", "120", dataDir + "/lock",
			"postgres", "-c", "config_file=" + configDir + "/postgresql.conf",
		}),
		// Defaults of psql for people in this container.
		Env:   corev1.EnvVarArray{kube.Env("PGDATA", pgdata), kube.Env("PGDATABASE", args.Database)},
		Ports: corev1.ContainerPortArray{kube.ContainerPort("postgres", server.Port)},
		// The port is open during recovery, so no probe kills a server that recovers.
		StartupProbe:  kube.Within(10*time.Minute, kube.TCPProbe(server.Port)),
		LivenessProbe: kube.TCPProbe(server.Port),
		ReadinessProbe: kube.ExecProbe("pg_isready", "--quiet", "--host", "127.0.0.1",
			"--username", server.ReaderRole,
			"--dbname", args.Database),
		VolumeMounts:             serverMounts(args),
		TerminationMessagePolicy: pulumi.String("FallbackToLogsOnError"),
	})
}

func exporterContainer(args Args) corev1.ContainerArgs {
	resources := kube.Resources{CPU: "10m", CPULimit: "250m", Memory: "64Mi"}
	source := fmt.Sprintf(":%d/%s?host=%s&sslmode=disable", server.Port, args.Database, socketDir)
	return kube.Container(kube.AppUser, resources, corev1.ContainerArgs{
		Name:  pulumi.String("exporter"),
		Image: args.ExporterImage,
		Env: corev1.EnvVarArray{
			kube.Env("DATA_SOURCE_URI", source),
			kube.Env("DATA_SOURCE_USER", server.ExporterRole),
			kube.Env("DATA_SOURCE_PASS_FILE", exportDir+"/password"),
			kube.Env("DATA_DIR", dataDir),
			kube.Env("CERT_FILE", exportDir+"/"+certificateKey),
		},
		Ports:         corev1.ContainerPortArray{kube.ContainerPort(kube.MetricsPortName, server.MetricsPort)},
		StartupProbe:  kube.Within(time.Minute, kube.TCPProbe(server.MetricsPort)),
		LivenessProbe: kube.TCPProbe(server.MetricsPort),
		VolumeMounts: corev1.VolumeMountArray{
			kube.ReadOnly("exporter", exportDir), kube.ReadOnly("socket", socketDir),
			kube.ReadOnly(args.Version.Template, dataDir),
		},
	})
}

func podVolumes(args Args, names names) corev1.VolumeArray {
	files := map[string]string{certificateKey: certificateKey, privateKey: privateKey}
	return corev1.VolumeArray{
		configVolume(names),
		corev1.VolumeArgs{Name: pulumi.String("socket"), EmptyDir: corev1.EmptyDirVolumeSourceArgs{}},
		// Shared memory of parallel queries. It counts towards the container's memory limit.
		corev1.VolumeArgs{Name: pulumi.String("shm"), EmptyDir: corev1.EmptyDirVolumeSourceArgs{
			Medium: pulumi.String("Memory"), SizeLimit: pulumi.String(args.Memory),
		}},
		kube.SecretVolume("setup", names.secret, 0o440, map[string]string{verifiersKey: verifiersKey}),
		kube.SecretVolume("server", names.secret, 0o440, files),
		kube.SecretVolume("exporter", names.secret, 0o440, map[string]string{
			exporterPassKey: "password", certificateKey: certificateKey}),
	}
}

func configVolume(names names) corev1.VolumeArgs {
	return corev1.VolumeArgs{Name: pulumi.String("config"),
		ConfigMap: corev1.ConfigMapVolumeSourceArgs{Name: pulumi.String(names.config)}}
}
