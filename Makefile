# Thin: what a target does stands in scripts/.
.PHONY: help build run test check fix assets openapi bench soak controls fuzz deny
.DEFAULT_GOAL := help

help: ## This list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 18

build: assets ## The complete release binary
	cargo build --release --locked -p pixel-server
	@bash scripts/sealed.sh $${CARGO_TARGET_DIR:-target}/release/pixel

run: build ## Build, start on port 8000, make samples on the first start
	@bash scripts/run.sh

test: ## Everything: installs what it lacks, then checks and tests it all
	@bash scripts/test.sh

check: assets ## The fast part: format, lints, the house rules
	@bash scripts/check.sh

fix: assets ## Format, and let clippy repair what it can
	cargo fmt --all
	cargo clippy --fix --allow-dirty --allow-staged --workspace --all-targets

assets: ## Fetch the third-party scripts of the API pages
	@bash scripts/assets.sh

openapi: assets ## Accept the API document as it is served now
	@bash scripts/openapi.sh accept

bench: assets ## Measure, on both databases (ARGS="--quick" proves that it works)
	cargo build --release --locked -p pixel-server
	cargo run --release --locked -p pixel-bench -- $(ARGS)

soak: assets ## Kills, freezes and broken disks in large numbers (ARGS="kills --count 100")
	@bash scripts/soak.sh $(ARGS)

controls: assets ## Break rules on purpose; the tests must notice
	@bash scripts/controls.sh

fuzz: assets ## Fuzz every reader of foreign bytes (ARGS="--seconds 360")
	@bash scripts/fuzz.sh $(ARGS)

deny: ## Licences, bans and advisories of all dependencies (before a release)
	@bash scripts/deny.sh
