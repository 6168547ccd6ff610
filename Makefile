# Every target works as the only command: it sets up what it needs, once.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
RESOLVE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url
LOCK := $(RESOLVE) pyproject.toml
# Parts of the above, for layers of images. What torch needs and others too is left to the others' layer: a new version
# of it must not build torch's anew.
PART := $(RESOLVE) --no-header --no-annotate
SHARED := filelock fsspec jinja2 markupsafe numpy pillow setuptools typing-extensions

# As pip does: trust the machine's certificates, its company's proxy among them, where it has any.
ifneq ($(wildcard /etc/ssl/certs/ca-certificates.crt),)
export UV_SYSTEM_CERTS ?= true
endif

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 22

.PHONY: setup
setup: $(VENV)/ready ## install everything, from the lock, into .venv

$(VENV)/ready: requirements/bootstrap.lock requirements/dev.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/bootstrap.lock
	$(BIN)/uv pip sync --quiet --require-hashes --python $(BIN)/python requirements/dev.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	touch $@

.PHONY: tools
tools: setup ## build what the tests run beside the product: Kubernetes, an S3 server ... (once, in the user's cache)
	$(BIN)/python -m tests.cluster build

.PHONY: demo
demo: setup ## train three models at once on real clips, on CPU
	$(BIN)/python -m examples.demo

.PHONY: test
test: check docs tools ## all checks, and the tests that need no root
	$(BIN)/python -m pytest

.PHONY: e2e
e2e: tools ## the tests in a real browser and on real nodes (root; installs what they need of Debian's packages)
	$(BIN)/python -m tests.cluster packages
	$(BIN)/python -m pytest tests/browser tests/e2e

.PHONY: chaos
chaos: tools ## disturb trainings on real nodes, and hold what they leave to the promise (root; half an hour)
	$(BIN)/python -m tests.chaos $(OPTIONS)

.PHONY: cluster
cluster: tools ## start a cluster of two real nodes and an S3 server to work with (root)
	$(BIN)/python -m tests.cluster up

.PHONY: cluster-down
cluster-down: setup ## end that cluster; nothing of it runs on
	$(BIN)/python -m tests.cluster down

.PHONY: bench-control-plane
bench-control-plane: tools ## measure how fast 1,000 TrainJobs become running pods, beside plain Jobs
	$(BIN)/python -m bench.control_plane $(OPTIONS)

.PHONY: bench
bench: bench-loading bench-decoding bench-training bench-checkpoints bench-first-iteration bench-ports bench-control-plane ## measure all of these (half an hour)

.PHONY: bench-check
bench-check: setup ## measure loaders again, and compare with what is on record (5 minutes)
	$(BIN)/python -m bench.check

.PHONY: bench-loading
bench-loading: setup ## measure how many videos a second our loaders give, beside MMAction2's own
	$(BIN)/python -m bench.loading $(OPTIONS)

.PHONY: bench-decoding
bench-decoding: setup ## measure decoding each frame of a video once, beside MMAction2's own
	$(BIN)/python -m bench.decoding $(OPTIONS)

.PHONY: bench-training
bench-training: setup ## measure a training step on CPU, beside MMAction2's own tools/train.py
	$(BIN)/python -m bench.training $(OPTIONS)

.PHONY: bench-checkpoints
bench-checkpoints: setup ## measure how long a training waits for its checkpoints, beside MMEngine's own way
	$(BIN)/python -m bench.checkpoints

.PHONY: bench-first-iteration
bench-first-iteration: tools ## measure the wait for the first iteration with videos in S3, beside fetching all first
	$(BIN)/python -m bench.first_iteration $(OPTIONS)

.PHONY: bench-ports
bench-ports: setup ## measure how long a port takes to lease where 10,000 are
	$(BIN)/python -m bench.ports $(OPTIONS)

.PHONY: images
images: setup ## build the operator's and the trainer's image, with docker, podman or buildah
	$(BIN)/python scripts/images.py $(OPTIONS)

.PHONY: release
release: tools ## chart, images, wheel, bills of materials and checksums, in dist/
	$(BIN)/python -m scripts.release --helm "$$($(BIN)/python -m tests.cluster build)/helm" $(OPTIONS)

.PHONY: check
check: setup ## style, types, import rules, generated files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy operator trainer bench tests/cluster tests/chaos scripts/images.py scripts/release.py scripts/base_image.py
	$(BIN)/lint-imports
	$(BIN)/python scripts/generate.py --check

.PHONY: docs
docs: setup ## build the documentation as a site in build/site; every link has to lead somewhere
	$(BIN)/sphinx-build --quiet --fresh-env --write-all --fail-on-warning --keep-going --conf-dir docs . build/site

.PHONY: format
format: setup ## rewrite the code in the house's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: generate
generate: setup ## write what is generated from the code: the CRD, docs/reference
	$(BIN)/python scripts/generate.py

.PHONY: chart
chart: tools ## write the chart's README from its values
	"$$($(BIN)/python -m tests.cluster build)/helm-docs" --chart-search-root charts --log-level=warning

.PHONY: zoo
zoo: setup ## write the snapshot of MMAction2's configs
	$(BIN)/python scripts/zoo.py

.PHONY: lock
lock: setup ## resolve the dependencies anew, hashes only
	$(LOCK) --extra operator --output-file requirements/operator.lock
	$(LOCK) --extra trainer --output-file requirements/trainer.lock
	$(LOCK) --all-extras --output-file requirements/dev.lock
	printf 'torch\ntorchvision\n' | $(PART) --constraints requirements/trainer.lock $(SHARED:%=--no-emit-package %) - --output-file requirements/torch.lock
	echo hatchling | $(PART) --constraints requirements/dev.lock - --output-file requirements/build.lock

.PHONY: clean
clean: ## remove what the targets wrote, the environment included
	rm -rf $(VENV) .demo .cluster build dist chaos.jsonl
