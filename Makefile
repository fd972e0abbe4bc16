# The steps themselves are in .ci/run, so that a target here and the whole run there cannot differ.
.DEFAULT_GOAL := help
.PHONY: help check test race lint fuzz bench cover peers ci

help: ## print this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-6s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

check: ## everything cheap: build, vet on four systems, lint, test
	@.ci/run build vet lint test

test: ## go test, in shuffled order
	@.ci/run test

race: ## go test under the race detector
	@.ci/run race

lint: ## golangci-lint and gofumpt at their pinned versions
	@.ci/run lint

fuzz: ## every fuzz target for FUZZ_SECONDS each (60)
	@FUZZ_SECONDS=$${FUZZ_SECONDS:-60} FUZZ_BUDGET=$${FUZZ_BUDGET:-86400} .ci/run fuzz

bench: ## the benchmarks against other clients, in their own module
	cd bench && go test -run '^$$' -bench . -benchmem ./...

cover: ## statement coverage by function, and cover.out
	go test -coverpkg=./... -coverprofile=cover.out ./...
	go tool cover -func=cover.out

peers: ## the tests against real servers (root and apt-get, or servers already installed)
	@.ci/run peers

ci: ## all of .ci/run
	@.ci/run
