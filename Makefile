# Every target does its own set-up; the work is in scripts/.
.DEFAULT_GOAL := help
.PHONY: dev test bench differential build tools clean help

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

dev: ## the gateway, an identity provider and a demo origin on this machine
	@scripts/dev.sh

test: ## every check: format, lints, native, no_std, dependencies, Worker end to end
	@scripts/test.sh

bench: ## time of one verification, native and wasm, beside other libraries
	@scripts/bench.sh

differential: ## the RSA kernels, native and wasm, against another implementation; about three minutes
	@scripts/differential.sh

build: ## the Worker (build/) and the wasm module of the npm package (pkg/wasm/)
	@scripts/build.sh

tools: ## install what the other targets need and the machine lacks
	@scripts/tools.sh test

clean: ## remove what the builds made; the tools in the user's cache stay
	@rm -rf build target node_modules pkg/wasm pkg/dist .wrangler
