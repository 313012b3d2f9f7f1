# What a contributor runs. Continuous integration (.ci/run) calls the same targets.
#
# FUZZTIME is how long each fuzz target runs, BENCH and COUNT what `make bench` runs and how often.

GO       ?= go
FUZZTIME ?= 30s
BENCH    ?= .
COUNT    ?= 3

# Build tags of tests that need more than `go test ./...` may take; the linters look at them, too.
TAGS     := e2e,interop,soundcard,bench

.PHONY: all build check lint test race nocgo fuzz golden e2e demo docs bench bench-audio soundcard interop bench-server clean

all: build

build: ## the program, as ./offhook
	$(GO) build -trimpath -o offhook .

check: lint test ## everything a commit must pass

lint: ## format, vet, staticcheck, and switches that forget a case
	@files=$$($(GO) tool gofumpt -l .); \
	if [ -n "$$files" ]; then echo "not formatted (run: go tool gofumpt -w <file>):"; echo "$$files"; exit 1; fi
	$(GO) vet -tags $(TAGS) ./...
	$(GO) tool staticcheck -tags $(TAGS) ./...
	$(GO) tool exhaustive -d -typeonly '^offhook/' ./...
	$(GO) mod verify
	$(GO) mod tidy -diff

test: ## all tests, as the README runs them
	$(GO) test ./...

race: ## the same under the race detector
	$(GO) test -race ./...

nocgo: ## without a C compiler: everything builds, sound is virtual, Opus is received only
	CGO_ENABLED=0 $(GO) build -o /dev/null .
	CGO_ENABLED=0 $(GO) test ./audio/... .
	for os in darwin windows; do CGO_ENABLED=0 GOOS=$$os $(GO) vet ./audio/... || exit 1; done

fuzz: ## every fuzz target for FUZZTIME each
	.ci/fuzz $(FUZZTIME)

golden: ## write the golden files anew; look at the difference before committing it
	$(GO) test $$($(GO) list -f '{{range .TestImports}}{{$$.ImportPath}} {{.}}{{"\n"}}{{end}}{{range .XTestImports}}{{$$.ImportPath}} {{.}}{{"\n"}}{{end}}' ./... \
		| sed -n 's| offhook/internal/testkit/golden$$||p' | sort -u) -update

e2e: build ## scripts on the built program with real processes and real time (about two minutes)
	OFFHOOK_BIN=$(CURDIR)/offhook $(GO) test -tags e2e -count=1 -run 'TestScripts|TestProcesses' .

demo: ## the program with everything it needs on loopback
	$(GO) run . demo

docs: ## the generated files: config.example.toml, docs/{config,keys,events}.md, docs/offhook.1, docs/completion/
	$(GO) test ./internal/arch . -run 'TestGeneratedFiles|TestManual' -update

bench: ## benchmarks, with allocations
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchmem -count $(COUNT) ./...

bench-audio: build ## what sound costs and how late it is, block by block and in real programs, beside baresip where installed
	$(GO) test -run '^$$' -bench . -benchmem ./audio/...
	$(GO) test -count=1 -v -run 'Traces|Delay|Concealment|Recover' ./audio/jitter
	OFFHOOK_BIN=$(CURDIR)/offhook $(GO) test -tags bench -count=1 -v -timeout 30m ./internal/interop/audiobench

soundcard: build ## the sound devices of a PulseAudio that the tests start, and kill (skipped where that is not installed)
	$(GO) test -tags soundcard -count=1 -v ./audio/device/malgo
	OFFHOOK_BIN=$(CURDIR)/offhook $(GO) test -tags bench -count=1 -v -run TestSoundServerDies ./internal/interop/audiobench

interop: ## the election through a real Kamailio (skipped where that is not installed)
	$(GO) test -tags interop -count=1 -v -timeout 20m ./internal/interop

bench-server: build ## the embedded server beside Kamailio under SIPp's load
	internal/interop/bench/run.sh $(CURDIR)/offhook

clean:
	rm -f offhook
	$(GO) clean -testcache
