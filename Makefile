# LAB names the lab and the stack. Labs share only tools and images. NODES is how many nodes a lab gets, NODE
# the number of one of them.
LAB ?= dev

# Debug information would cost a quarter of the compile time, and optimising Pulumi's packages another quarter
# of the program's, which runs for seconds. The lab's pulumi sets the same flags.
compile_flags := -gcflags=all=-dwarf=false '-gcflags=github.com/pulumi/...=-N -l -dwarf=false'
export GOFLAGS := $(if $(findstring -gcflags,$(GOFLAGS)),$(GOFLAGS),$(shell go env GOFLAGS) $(compile_flags))

env := .lab/$(LAB)/env
lab := .lab/lab --name $(LAB)
huge_pages := .lab/lab huge-pages
in_lab := . $(env) &&
# Tests that create namespaces, change their root directory or kill processes of pods need root.
as_root := $(if $(filter 0,$(shell id -u)),,-exec "sudo --preserve-env env PATH=$$PATH")

.PHONY: help up preview destroy purge check test beside integration lint kube-score promtool \
	vulnerabilities fuzz e2e soak upgrade \
	bench screenshot lab-get lab-up lab-down lab-delete lab-node-stop lab-node-start status

# It lists the comments after ##. docs/lab.md has the same commands.
help:
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-14s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

up: lab-up ## starts the lab and brings up the stack
	$(in_lab) $(lab) recover
	$(in_lab) $(huge_pages) pulumi up --stack $(LAB) --refresh --yes --skip-preview --suppress-outputs
	$(in_lab) $(lab) keep
	@$(in_lab) $(lab) summary

preview: $(env) ## shows what make up would change
	$(in_lab) pulumi preview --stack $(LAB)

destroy: lab-up ## deletes the stack, but not its data
	$(in_lab) $(lab) recover
	$(in_lab) $(lab) hibernate
	$(in_lab) pulumi destroy --stack $(LAB) --yes --skip-preview
	@echo "The stack's namespaces stay, with the data in their claims:" \
		"make up takes them up again, make purge deletes them."

purge: lab-up ## deletes the data too, after asking
	$(in_lab) $(lab) recover
	$(in_lab) $(lab) purge

lab-get: .lab/lab ## gets what a lab needs
	$(lab) get $(if $(ALL),--all)

lab-up: .lab/lab ## starts the lab alone
	$(lab) up $(if $(NODES),--nodes $(NODES)) $(if $(YES),--yes)

lab-down: .lab/lab ## stops the lab; volumes stay
	$(lab) down

lab-delete: .lab/lab ## stops the lab and deletes its data, after asking
	$(lab) delete $(if $(YES),--yes)

lab-node-stop: .lab/lab ## stops a node as a power cut does: NODE=2
	$(lab) node stop $(NODE)

lab-node-start: .lab/lab ## starts a node again: NODE=2
	$(lab) node start $(NODE)

status: .lab/lab ## shows what runs, where, and what is wrong
	$(lab) status

# Tests come in layers: check needs neither root nor servers, integration runs the apps on real Postgres and
# Redis servers, e2e tests the whole stack in a lab, and soak repeats the random ones: docs/testing.md.
check: .lab/lab lint promtool ## lint, and the tests that need neither root nor servers
	$(compile) $(unit_packages) >/dev/null
	$(go_test) $(unit_packages)
	cd lab && $(go_test) $(unit_lab_packages)

# The lab's tools are compiled beside check and integration, with the processor time that these leave. ALL adds
# the operator of Postgres and its plugin, which the lab of three nodes has.
test: .lab/lab ## all tests, in a lab of its own
	chrt --idle 0 $(MAKE) beside & trap "kill $$! 2>/dev/null" EXIT; trap "exit 1" INT TERM; \
	$(MAKE) check integration && wait $$! && $(MAKE) e2e

# The kernel divides processor time among sessions before it looks at priorities.
beside:
	setsid --wait sh -c 'echo 19 2>/dev/null >/proc/self/autogroup; exec $(MAKE) lab-get ALL=1 kube-score'

integration: .lab/lab
	$(lab) test-packages
	$(compile) ./app/... >/dev/null
	$(go_test) $(as_root) -timeout 20m ./app/...
	cd lab && $(go_test) $(as_root) ./cluster

lint: .lab/lab
	$(huge_pages) $(golangci_lint) run ./...
	cd lab && $(golangci_lint) run ./...
	cd examples/own-app && $(golangci_lint) run ./...
	$(actionlint) .github/workflows/*.yml examples/gitops/*.yml

# Known vulnerabilities: in our code by calls, in the lab's tools by packages.
govulncheck := go run golang.org/x/vuln/cmd/govulncheck@v1.9.0
vulnerabilities: .lab/lab
	$(lab) sources
	failed=0; \
	for module in . lab; do \
		echo "module $$module"; $(govulncheck) -C $$module ./... || failed=1; \
	done; \
	for module in lab/tools/*/go.mod; do \
		echo "module $$module"; $(govulncheck) -C $${module%/go.mod} -scan package tool ./... || failed=1; \
	done; \
	exit $$failed

# The end-to-end tests check manifests with it.
kube-score:
	cd lab/tools/kube-score && go tool kube-score version >/dev/null

# The tests of alerts run it. Discovery of targets at cloud providers would be half of the work.
promtool:
	GOFLAGS="$(GOFLAGS) -tags=remove_all_sd" \
		go tool -modfile=$(CURDIR)/lab/tools/promtool/go.mod promtool --version >/dev/null

# The go command caches it.
golangci_lint := go tool -modfile=$(CURDIR)/lab/tools/golangci-lint/go.mod golangci-lint
# It runs shellcheck on what workflows run, if that is installed.
actionlint := go tool -modfile=$(CURDIR)/lab/tools/actionlint/go.mod actionlint

# Lint includes vet.
go_test := go test -vet=off

# Compiles packages, with less garbage collection than tests should run with.
compile := GOGC=400 $(huge_pages) go list -export -test

# Packages whose tests need neither root nor servers.
unit_packages := ./bench/... ./e2e/internal/... ./infra/... ./internal/... \
	$(addprefix ./app/,backup/heartbeat backup/manifest internal/freeport internal/pgbackrest \
	internal/service todo-frontend/http todo-frontend/page)
unit_lab_packages := . ./images ./internal/... ./layout ./mirror ./preflight ./releases ./stack ./tools

# Each runs with a fixed number of inputs.
fuzz_targets := app/daily-todo/FuzzLocation app/todo-backend/FuzzRequest app/todo-backend/FuzzTitle

fuzz:
	$(foreach target,$(fuzz_targets),$(go_test) -run '^$$' -fuzz '^$(notdir $(target))$$' \
		-fuzztime 10000x -fuzzminimizetime 10x ./$(dir $(target)) &&) true

# Tests that wait for their lane count as running, so -parallel is high.
go_test_e2e := $(go_test) $(as_root) -count=1 -parallel 100 -v

# Tests and measurements run in labs of their own, which they delete, and never in the user's own cluster.
in_own_lab = unset KUBECONFIG; $(MAKE) up && . .lab/$$LAB/env && $(1) ; status=$$?; \
	$(MAKE) lab-delete YES=1; exit $$status

e2e: export LAB = test
e2e:
	$(call in_own_lab,$(go_test_e2e) -timeout 70m ./e2e)

# More rounds of the random tests.
soak: export LAB = soak
soak: export PINGPONG_KILLS = 50
soak: export TODO_KILLS = 50
soak: export TRAIN_KILLS = 50
soak: export LOAD = 0
soak: export UP_KILLS = 20
soak: export LAB_KILLS = 20
soak: export FAILOVERS = 20
soak: export LOSSES = 24
soak: export CHANGES = 6
soak: export MAJOR_KILLS = 10
soak: export ROTATIONS = all
soak: export STORAGE_OPERATIONS = 20000
soak: export STORAGE_SEED ?= $(shell date +%s)
soak: export CORPUS = all
soak: fuzz ## the random tests, often; hours
	$(go_test) $(as_root) -count=1 -timeout 30m -v -run Corpus ./app/backup
	$(go_test) $(as_root) -count=1 -timeout 30m -v -run NoEffectOnEachOther ./app/storage
	$(call in_own_lab,$(go_test_e2e) -tags soak -timeout 4h \
		-run 'Kill|ChangesRollOut|DestroyAndUp|FailsOver|SeveralNodes|NewMajor' ./e2e)

# The data of earlier revisions survives an up of this one: by default of the last two releases before it.
upgrade: releases = $(shell git tag --merged HEAD^ --list 'v*' --sort -version:refname | head --lines 2)
upgrade: export UPGRADE_FROM ?= $(or $(releases),HEAD~1)
upgrade: .lab/lab ## takes over earlier revisions' stacks and their data
	unset KUBECONFIG; $(go_test_e2e) -tags upgrade -timeout 1h -run CarriedOver ./e2e

# The load comes from the node's network namespace, so it needs root.
bench: export LAB = bench
bench: .lab/lab ## measures the apps against their peers
	$(lab) test-packages
	$(call in_own_lab,$(if $(filter 0,$(shell id -u)),,sudo --preserve-env env PATH=$$PATH) go run ./bench)

screenshot: export LAB = screenshot
screenshot: ## takes the README's picture of the page
	$(call in_own_lab,go run ./internal/screenshot "$$(pulumi stack output todoUrl)" docs/todo.png)

.PHONY: .lab/lab
.lab/lab:
	@sh lab/build.sh

$(env):
	$(MAKE) lab-up
