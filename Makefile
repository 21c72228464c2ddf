# Every target installs the tools it needs; the work is in scripts/.
.DEFAULT_GOAL := help
.PHONY: dev token check test bench differential simulate soak scale fuzz mutants blackbox build corpus docs release-check deploy tools clean help

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

dev: ## run the demo on loopback: gateway, identity provider and site
	@scripts/dev.sh

token: ## print a fresh access token of the running demo; SCOPE="read:items write:items"
	@SCOPE="$(SCOPE)" scripts/token.sh

check: ## the quick checks before a commit: format, lints, unit tests, documents
	@scripts/test.sh --check

test: ## every check: format, lints, native, no_std, dependencies, package, Worker end to end
	@scripts/test.sh

bench: ## measure one verification, native and wasm, beside other libraries
	@scripts/bench.sh

differential: ## compare the RSA kernels with another implementation, and verdicts on mutated tokens with another library; COUNT=1000000 SEED=1
	@scripts/differential.sh $(or $(COUNT),1000000) $(SEED)

simulate: ## random schedules of requests and faults against a model; SEEDS=1000 STEPS=10000, or SEED=7 STEPS=300
	@SEED="$(SEED)" SEEDS="$(SEEDS)" STEPS="$(STEPS)" scripts/simulate.sh

soak: ## long runs in workerd: users mixed up, floods, faults, memory, refreshes; PART=identity COUNT=1000000, PART=memory MINUTES=60, SEED=1
	@PART="$(PART)" MINUTES="$(MINUTES)" COUNT="$(COUNT)" SEED="$(SEED)" scripts/soak.sh

fuzz: ## mutated inputs for each target of fuzz/; SECONDS=60 SEED=1 TARGETS="json token"
	@scripts/fuzz.sh $(or $(SECONDS),60)s $(or $(SEED),1) $(TARGETS)

blackbox: ## the Worker in workerd by bytes on its connections: paths, redirects, headers, cookies; SEED=1 PART="paths redirects"
	@scripts/blackbox.sh $(or $(SEED),1) $(PART)

mutants: ## small changes of the core, each of which a test must notice; PART="src/jwt rsa/src" JOBS=2
	@scripts/mutants.sh $(PART)

corpus: ## print how other verifiers agree with the corpus of tokens, by class
	@scripts/tools.sh check
	@. scripts/env.sh && node corpus/run.mjs

build: ## build the Worker (build/) and the npm package (pkg/dist/)
	@scripts/build.sh

docs: ## build the documentation site (target/site/)
	@scripts/docs.sh

scale: ## simulate up to 10,000 isolates, and write the figures of docs/scale.md; some minutes
	@scripts/scale.sh

release-check: ## all of a release but publishing: every check, two builds with the same bytes, SBOMs, checksums
	@scripts/test.sh
	@scripts/release.sh check

deploy: ## build the Worker and deploy it with wrangler; ARGS=--dry-run only shows what would be uploaded
	@scripts/wrangler.sh deploy $(ARGS)

tools: ## install the tools of every target
	@scripts/tools.sh test

clean: ## remove build output; the tools in the user's cache stay
	@rm -rf build target node_modules pkg/wasm pkg/wasm-cli pkg/dist .wrangler
