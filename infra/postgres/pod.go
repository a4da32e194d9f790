package postgres

import (
	"fmt"
	"slices"
	"time"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/stateful-k3s/stateful-k3s/infra/kube"
	"github.com/stateful-k3s/stateful-k3s/infra/storage"
)

const (
	// user is postgres in the official image.
	user         = 999
	exporterPort = 9187

	// No folder that the image declares as a volume, and below it one for the data: the same for every major
	// version.
	dataDir   = "/data"
	pgdata    = dataDir + "/pgdata"
	configDir = "/etc/postgresql"
	socketDir = "/var/run/postgresql"
	setupDir  = "/run/secrets/postgres-setup"
	serverDir = "/run/secrets/postgres-server"
	exportDir = "/run/secrets/postgres-exporter"
)

// stopSeconds is what a fast shutdown may take: the checkpoint at its end writes all that is in memory.
const stopSeconds = 120

// podSpec is that of the server's pod; archive is nil if there is none.
func podSpec(args Args, archive *storage.Client) corev1.PodSpecArgs {
	resources := kube.Resources{CPU: "100m", CPULimit: "2", Memory: args.Memory}
	mounts := corev1.VolumeMountArray{
		kube.Mount(claim, dataDir),
		kube.Mount("socket", socketDir),
		kube.Mount("shm", "/dev/shm"),
		kube.ReadOnly("config", configDir),
		kube.ReadOnly("server", serverDir),
	}
	prepare := kube.Container(user, resources, corev1.ContainerArgs{
		Name:    pulumi.String("setup"),
		Image:   args.Image,
		Command: pulumi.ToStringArray([]string{"sh", configDir + "/setup.sh"}),
		Env: corev1.EnvVarArray{
			kube.Env("VOLUME", dataDir), kube.Env("PGDATA", pgdata), kube.Env("CONFIG", configDir),
			kube.Env("DATABASE", args.Database),
		},
		VolumeMounts: append(slices.Clone(mounts), kube.ReadOnly("setup", setupDir)),
		// Why the data was refused then stands in the pod's status.
		TerminationMessagePolicy: pulumi.String("FallbackToLogsOnError"),
	})
	server := kube.Container(user, resources, corev1.ContainerArgs{
		Name:  pulumi.String("postgres"),
		Image: args.Image,
		Command: pulumi.ToStringArray([]string{
			"flock", "--no-fork", "--timeout", "120", dataDir + "/lock",
			"postgres", "-c", "config_file=" + configDir + "/postgresql.conf",
		}),
		// For psql in this container.
		Env:   corev1.EnvVarArray{kube.Env("PGDATA", pgdata), kube.Env("PGDATABASE", args.Database)},
		Ports: corev1.ContainerPortArray{kube.ContainerPort("postgres", Port)},
		// The port is open while the server still recovers, so that nothing kills it meanwhile.
		StartupProbe:  kube.Within(10*time.Minute, kube.TCPProbe(Port)),
		LivenessProbe: kube.TCPProbe(Port),
		ReadinessProbe: kube.ExecProbe("pg_isready", "--quiet", "--host", "127.0.0.1", "--username", readerRole,
			"--dbname", args.Database),
		VolumeMounts: mounts,

		TerminationMessagePolicy: pulumi.String("FallbackToLogsOnError"),
	})
	exporter := kube.Container(kube.AppUser, kube.Resources{CPU: "10m", CPULimit: "250m", Memory: "64Mi"},
		corev1.ContainerArgs{
			Name:  pulumi.String("exporter"),
			Image: args.ExporterImage,
			Env: corev1.EnvVarArray{
				kube.Env("DATA_SOURCE_URI",
					fmt.Sprintf(":%d/%s?host=%s&sslmode=disable", Port, args.Database, socketDir)),
				kube.Env("DATA_SOURCE_USER", exporterRole),
				kube.Env("DATA_SOURCE_PASS_FILE", exportDir+"/password"),
			},
			Ports:         corev1.ContainerPortArray{kube.ContainerPort("metrics", exporterPort)},
			StartupProbe:  kube.Within(time.Minute, kube.TCPProbe(exporterPort)),
			LivenessProbe: kube.TCPProbe(exporterPort),
			VolumeMounts: corev1.VolumeMountArray{kube.ReadOnly("exporter", exportDir),
				kube.ReadOnly("socket", socketDir)},
		})
	containers := corev1.ContainerArray{server, exporter}
	volumes := corev1.VolumeArray{
		corev1.VolumeArgs{Name: pulumi.String("config"),
			ConfigMap: corev1.ConfigMapVolumeSourceArgs{Name: pulumi.String(config)}},
		corev1.VolumeArgs{Name: pulumi.String("socket"), EmptyDir: corev1.EmptyDirVolumeSourceArgs{}},
		// What parallel queries share; it counts as memory of the container, whose limit is its size too.
		corev1.VolumeArgs{Name: pulumi.String("shm"), EmptyDir: corev1.EmptyDirVolumeSourceArgs{
			Medium: pulumi.String("Memory"), SizeLimit: pulumi.String(args.Memory),
		}},
		kube.SecretVolume("setup", secret, 0o440, map[string]string{verifiersKey: verifiersKey}),
		kube.SecretVolume("server", secret, 0o440,
			map[string]string{certificateKey: certificateKey, privateKey: privateKey}),
		kube.SecretVolume("exporter", secret, 0o440, map[string]string{exporterPassKey: "password"}),
	}
	if archive != nil {
		server.Env = slices.Concat(server.Env.(corev1.EnvVarArray), archive.Env, corev1.EnvVarArray{queue(args)})
		server.VolumeMounts = append(slices.Clone(mounts), archive.Mount)
		containers = corev1.ContainerArray{server, exporter, archiverContainer(args, archive)}
		volumes = append(volumes, archive.Volume,
			corev1.VolumeArgs{Name: pulumi.String(archiver), EmptyDir: corev1.EmptyDirVolumeSourceArgs{}})
	}
	return corev1.PodSpecArgs{
		InitContainers:                corev1.ContainerArray{prepare},
		Containers:                    containers,
		TerminationGracePeriodSeconds: pulumi.Int(stopSeconds),
		Volumes:                       volumes,
	}
}
