package e2e

import (
	"strings"
	"time"

	"github.com/stateful-k3s/stateful-k3s/e2e/internal/kube"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/postgres"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/store"
)

func (p *produced) whilePingsWait() map[string]panel {
	return map[string]panel{
		"system: Pings that wait": one("waiting", func() between { return between{clients / 2, clients} }),
		// Each replica waits with one of its five connections. The others answer probes.
		"system: Connections of apps to Postgres in use": func() map[string]between {
			return map[string]between{"pingpong": {0.2, 0.4}, "todo-backend": {0, 0.2}}
		},
	}
}

func (p *produced) whileAllIsWell() map[string]panel {
	return map[string]panel{
		"system: Since the last daily todo": one("project", func() between {
			return since(time.Unix(int64(number(p.c, postgres.Query(p.c.In(project),
				"SELECT floor(extract(epoch FROM max(added))) FROM answer WHERE key LIKE 'daily-todo-%'"))), 0))
		}),
	}
}

// rates are of the last five minutes.
func (p *produced) rates() map[string]panel {
	// The server's statistics began when it was killed.
	statistic := func(expression string) float64 {
		return number(p.c, postgres.Query(p.c, "SELECT "+expression))
	}
	return map[string]panel{
		"system: Requests per second": func() map[string]between {
			pings := 2*times + p.held
			return map[string]between{"pingpong": {perSecond(pings)[0], perSecond(pings + p.refused)[1]},
				"todo-backend": perSecond(2 * times), "todo-frontend": perSecond(2 * (few + fails))}
		},
		"system: Share of requests that fail": func() map[string]between {
			// The first request of a pod counts if it is not the first of its kind.
			const least, most = 0.97 * fails / (few + 1 + fails), 1.03 * (fails + 1) / (few + fails + 1)
			refused := float64(p.refused)
			return map[string]between{"pingpong": {0, refused / (2*times + float64(p.held) + refused)},
				"todo-backend": exactly(0), "todo-frontend": {least, most}}
		},
		"system: Time of the slowest 5 % of requests": func() map[string]between {
			// Histograms tell no more than which power of two it is below.
			most := 2 * time.Since(p.began).Seconds()
			return map[string]between{"pingpong": {p.waited.Seconds() / 2, most}, others: {0, most}}
		},
		"system: Requests to the storage server": func() map[string]between {
			return map[string]between{"HEAD 403": perSecond(times), others: {0, 100}}
		},
		"database: Transactions per second": func() map[string]between {
			committed := perSecond(int(statistic("sum(xact_commit) FROM pg_stat_database")))
			committed[0] -= 0.5 // what was committed since the graph
			committed[1] += 2   // and before the server was killed
			return map[string]between{"committed": committed,
				"rolled back": perSecond(int(statistic("sum(xact_rollback) FROM pg_stat_database")))}
		},
		"database: Blocks read from disk per second": one("read", func() between {
			return perSecond(int(statistic("sum(blks_read) FROM pg_stat_database")))
		}),
		"database: Segments archived, and attempts that failed, in 5 minutes": func() map[string]between {
			archived := statistic("archived_count FROM pg_stat_archiver")
			failed := statistic("failed_count FROM pg_stat_archiver")
			return map[string]between{"archived": {0.95 * archived, 1.1*archived + 2}, "failed": {failed, failed + 1}}
		},
	}
}

// ofTheSystem are shown while the backend of the todos is away.
func (p *produced) ofTheSystem() map[string]panel {
	project := p.c.In(project)
	return map[string]panel{
		"system: Alerts firing": func() map[string]between {
			return map[string]between{"AppDown project": exactly(1), "RequestsFail project": exactly(1),
				others: {1, 9}}
		},
		"system: Pods that are missing": func() map[string]between {
			return map[string]between{"todo-backend project": exactly(2), others: exactly(0)}
		},
		"system: Age of the newest backup": func() map[string]between {
			return map[string]between{"pingpong": ageOfBackup(p.c), "todo": ageOfBackup(project)}
		},
		"system: Age of the archive": func() map[string]between {
			return map[string]between{"pingpong": since(readArchive(p.c).newest),
				"todo": since(readArchive(project).newest)}
		},
		"system: Space taken on volumes": p.spaceOnVolumes,
		"system: Memory of Redis in use": func() map[string]between {
			use := map[string]between{}
			for _, pod := range kube.RedisPods {
				memory := askRedisOf(p.c, pod, "INFO memory")
				share := number(p.c, field(memory, "used_memory")) / number(p.c, field(memory, "maxmemory"))
				use[p.c.Pod(pod).Status.PodIP+":9121"] = between{share - 0.02, share + 0.02}
			}
			return use
		},
		"system: Certificates expire in": func() map[string]between {
			return map[string]between{
				"postgres exercises": timeLeft(p.c, "postgres"), "postgres project": timeLeft(project, "postgres"),
				"storage storage": timeLeft(p.c.In(kube.Storage), "storage"),
			}
		},
	}
}

// ofTheDatabase are about the pings.
func (p *produced) ofTheDatabase() map[string]panel {
	sql := func(expression string) float64 { return number(p.c, postgres.Query(p.c, "SELECT "+expression)) }
	newest := func() store.Manifest {
		backups := store.Backups(p.c)
		return store.ReadManifest(p.c, backups[len(backups)-1])
	}
	return map[string]panel{
		"database: Servers that answer":      one("", func() between { return exactly(1) }),
		"database: Age of the newest backup": one("", func() between { return ageOfBackup(p.c) }),
		"database: Verified backups": one("", func() between {
			return exactly(float64(len(store.Backups(p.c))))
		}),
		"database: The last backup succeeded": one("", func() between { return exactly(1) }),
		"database: Age of the archive":        one("", func() between { return since(readArchive(p.c).newest) }),
		"database: The archive has a gap":     one("", func() between { return exactly(0) }),
		"database: Connections": func() map[string]between {
			idle := sql("count(*) FROM pg_stat_activity WHERE state = 'idle'")
			return map[string]between{"idle": {idle - 2, idle + 2}, others: {0, 2},
				"limit": exactly(sql("current_setting('max_connections')"))}
		},
		"database: Sizes": func() map[string]between {
			return map[string]between{
				"database":          about(sql("sum(pg_database_size(oid)) FROM pg_database")),
				"log on the volume": about(sql("sum(size) FROM pg_ls_waldir()")),
				"newest backup":     exactly(float64(newest().Dump.Size)),
				"archive":           about(readArchive(p.c).size),
			}
		},
		"database: Volume": func() map[string]between {
			size, available := statVolume(p.c, postgres.Pod, "postgres", "/data")
			return map[string]between{"taken": about(size - available), "size": about(size)}
		},
		"database: Time that a backup takes": one("until it was verified", func() between {
			return exactly(newest().Verified.Sub(newest().Started).Seconds())
		}),
		"database: Standbys behind the primary": func() map[string]between { return nil }, // there is none
		"database: Restarts in an hour": func() map[string]between {
			return map[string]between{p.c.Pod(postgres.Pod).Status.PodIP + ":9187": exactly(1), others: exactly(0)}
		},
	}
}

// spaceOnVolumes is the share that is taken.
func (p *produced) spaceOnVolumes() map[string]between {
	all := map[string]between{}
	add := func(c *kube.Cluster, job, pod, process, dir, port string) {
		size, available := statVolume(c, pod, process, dir)
		all[strings.Join([]string{job, c.Namespace, c.Pod(pod).Status.PodIP + ":" + port}, " ")] =
			about(1 - available/size)
	}
	for _, pod := range kube.RedisPods {
		add(p.c, "redis", pod, "redis-server", "/data", "9121")
	}
	add(p.c, "postgres", postgres.Pod, "postgres", "/data", "9187")
	add(p.c.In(project), "postgres", postgres.Pod, "postgres", "/data", "9187")
	add(p.c.In(kube.Storage), "storage", "storage-ss-0", "storage", "/data", "9090")
	return all
}
