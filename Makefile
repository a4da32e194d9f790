# LAB names the lab and the stack; labs share nothing but their tools and images.
LAB ?= dev

# Debug information would cost a quarter of the time that compiling takes.
no_debug := -gcflags=all=-dwarf=false
export GOFLAGS := $(filter-out $(no_debug),$(shell go env GOFLAGS)) $(no_debug)

env := .lab/$(LAB)/env
lab := .lab/lab --name $(LAB)
in_lab := . $(env) &&
# What makes namespaces, changes its root directory or kills processes of pods runs as root.
as_root := $(if $(filter 0,$(shell id -u)),,-exec "sudo --preserve-env env PATH=$$PATH")

.PHONY: up preview destroy purge test beside lint kube-score unit fuzz e2e soak upgrade bench screenshot lab-get lab-up lab-down lab-delete status

up: lab-up
	$(in_lab) $(lab) recover
	$(in_lab) pulumi up --stack $(LAB) --refresh --yes --skip-preview

preview: $(env)
	$(in_lab) pulumi preview --stack $(LAB)

destroy: lab-up
	$(in_lab) $(lab) recover
	$(in_lab) pulumi destroy --stack $(LAB) --yes --skip-preview
	@echo "The stack's namespaces stay, with the data in their claims: make up takes them up again, make purge deletes them."

purge: lab-up
	$(in_lab) $(lab) recover
	$(in_lab) $(lab) purge

lab-get: .lab/lab
	$(lab) get

lab-up: .lab/lab
	$(lab) up

lab-down: .lab/lab
	$(lab) down

lab-delete: .lab/lab
	$(lab) delete $(if $(YES),--yes)

status: .lab/lab
	$(lab) status

# What runs beside the tests takes what they leave of the processors, first of all to get what the end-to-end tests need.
test: .lab/lab
	chrt --idle 0 $(MAKE) beside & trap "kill $$! 2>/dev/null" EXIT; trap "exit 1" INT TERM; \
	$(MAKE) unit && $(MAKE) e2e && wait $$!

# The kernel divides the processors among sessions before it looks at priorities, and the lab has sessions of its own.
beside: lab-get
	setsid --wait sh -c 'echo 19 2>/dev/null >/proc/self/autogroup; exec $(MAKE) lint kube-score fuzz'

lint:
	$(golangci_lint) run ./...
	cd lab && $(golangci_lint) run ./...

kube-score:
	cd lab/tools/kube-score && go tool kube-score version >/dev/null

# The go command compiles it once, and keeps it in its cache.
golangci_lint := go tool -modfile=$(CURDIR)/lab/tools/golangci-lint/go.mod golangci-lint

# Lint vets all of it.
go_test := go test -vet=off

packages := ./app/... ./infra/... ./internal/...

# The list compiles the packages, with less garbage collection than tests are to run with. Backups are tried for 6 minutes,
# and on a busy machine for more than the 10 that Go gives by default.
unit: .lab/lab
	$(lab) test-packages
	GOGC=400 go list -export -test $(packages) >/dev/null
	$(go_test) $(as_root) -timeout 20m $(packages)
	cd lab && $(go_test) $(as_root) ./...

# Each is tried with a fixed number of inputs.
fuzz_targets := app/daily-todo/FuzzLocation app/todo-backend/FuzzRequest app/todo-backend/FuzzTitle

fuzz:
	$(foreach target,$(fuzz_targets),$(go_test) -run '^$$' -fuzz '^$(notdir $(target))$$' -fuzztime 10000x -fuzzminimizetime 10x ./$(dir $(target)) &&) true

# Tests and measurements have labs of their own, and remove them.
in_own_lab = $(MAKE) up && . .lab/$$LAB/env && $(1) ; status=$$?; $(MAKE) lab-delete YES=1; exit $$status

e2e: export LAB = test
e2e:
	$(call in_own_lab,$(go_test) $(as_root) -count=1 -timeout 60m -v ./e2e/...)

soak: export LAB = soak
soak: export PINGPONG_KILLS = 50
soak: export TODO_KILLS = 50
soak: export UP_KILLS = 20
soak: export STORAGE_OPERATIONS = 20000
soak: export STORAGE_SEED ?= $(shell date +%s)
soak:
	$(go_test) -count=1 -timeout 30m -v -run NoEffectOnEachOther ./app/storage
	$(call in_own_lab,$(go_test) $(as_root) -count=1 -timeout 2h -v -run 'CountIsExactAfterKills|NoTodoIsLostInKills|KilledUpsAreRepaired' ./e2e)

# Data of an earlier revision is there after an up of this one.
upgrade: export UPGRADE_FROM ?= HEAD~1
upgrade: .lab/lab
	$(go_test) $(as_root) -tags upgrade -count=1 -timeout 1h -v -run CarriedOver ./e2e

# The load comes from the node's network namespace, which takes root.
bench: export LAB = bench
bench: .lab/lab
	$(lab) test-packages
	$(call in_own_lab,$(if $(filter 0,$(shell id -u)),,sudo --preserve-env env PATH=$$PATH) go run ./bench)

screenshot: export LAB = screenshot
screenshot:
	$(call in_own_lab,go run ./internal/screenshot "$$(pulumi stack output todoUrl)" docs/todo.png)

.PHONY: .lab/lab
.lab/lab:
	go -C lab build -o ../.lab/lab .

$(env):
	$(MAKE) lab-up
