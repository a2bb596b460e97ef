# Front door of the project: each recipe is one line of Python, after a set-up that does nothing when all is in place.
# Written for GNU make 4.3, in words that 3.81 (macOS) knows.

PY := .venv/bin/python

# Values given by the user. $(value) takes the text as it was typed, so that a `$(shell …)` in it is never run by make;
# recipes read it from the environment inside double quotes, so that the shell does not run it either.
GIVEN := MODEL WEIGHTS DATASET PREPROCESSING LABELS PRECISION FORMAT CALIBRATION_IMAGES QUANTIZATION MAX_DROP ALLOW_QAT SEED EPOCHS OUTPUT AUTHOR LICENSE \
  JSON PYTHON UPGRADE DEVICE ADB_SERVER RUNNER RUNNER_PATH DELEGATE THREADS AFFINITY REPEATS ACCURACY SUSTAINED RESUME DRY_RUN STRICT AA ENGINE BATCH \
  GPU_INDEX OLD NEW MAX_REGRESSION ACROSS PURPOSE RECIPE LEARNING_RATE BATCH_SIZE FINE_TUNE FROZEN_EPOCHS FLIP CLASS_WEIGHTS MIXED_PRECISION TENSORBOARD \
  WORKERS WORKER_INDEX WORKER_TIMEOUT QAT
$(foreach name,$(GIVEN),$(eval override $(name) := $$(value $(name))))
export $(GIVEN)
# Switches: what means no is as good as not given.
$(foreach name,JSON UPGRADE ALLOW_QAT RESUME DRY_RUN STRICT AA TENSORBOARD QAT,$(eval override $(name) := $$(filter-out 0 no No NO false False FALSE off Off OFF,$$($(name)))))

# Any other variable on the command line is mistyped; `override` above has taken the known ones from that origin.
$(foreach .name,$(.VARIABLES),$(if $(filter command,$(firstword $(origin $(.name)))),\
  $(error $(shell sh .ci/refuse '$(subst ','\'',$(.name))' $(GIVEN)))))

# Said before the set-up, so that nobody waits a minute to learn it.
ifneq (,$(filter export bundle diagnose train bench baseline,$(MAKECMDGOALS)))
ifeq (,$(strip $(MODEL)))
$(error MODEL is missing: make $(firstword $(filter export bundle diagnose train bench baseline,$(MAKECMDGOALS))) MODEL=mobilenet_v2_1.4; `make models` lists the names)
endif
endif
ifneq (,$(filter bundle,$(MAKECMDGOALS)))
ifneq (,$(strip $(MAX_DROP)$(ALLOW_QAT)))
$(error MAX_DROP and ALLOW_QAT are for export, whose files a bundle takes: make export MODEL=... MAX_DROP=..., then make bundle MODEL=...)
endif
endif
ifneq (,$(filter compare,$(MAKECMDGOALS)))
ifeq (,$(and $(strip $(OLD)),$(strip $(NEW))))
$(error OLD or NEW is missing: make compare OLD=base/build NEW=build; each is a record or a folder of them)
endif
endif

.DEFAULT_GOAL := help
# A folder has the name `export`, another the name `models`: without this line make would call them up to date.
.PHONY: help doctor setup lock export bundle diagnose train models bench devices baseline report compare history lab lab-down test \
  slow-test lab-test page-test check static format clean

help: ## show this list
	@echo 'make TARGET [NAME=value ...]'
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo 'export:   MODEL [WEIGHTS DATASET LABELS PRECISION FORMAT CALIBRATION_IMAGES QUANTIZATION=equalize,... MAX_DROP=points'
	@echo '          ALLOW_QAT=1 SEED OUTPUT=probabilities|logits AUTHOR LICENSE JSON=1]; of your own: MODEL=path/to/x.keras PREPROCESSING=bytes|...'
	@echo 'bundle:   MODEL [PRECISION=int8,float16 AUTHOR LICENSE PURPOSE JSON=1, and those of export but MAX_DROP; TFLite only]'
	@echo 'diagnose: MODEL [WEIGHTS DATASET PREPROCESSING PRECISION=int8 JSON=1]; MODEL may be the folder that export made'
	@echo 'train:    MODEL [DATASET RECIPE EPOCHS LEARNING_RATE BATCH_SIZE FINE_TUNE=imagenet|x.keras FROZEN_EPOCHS FLIP=on|off'
	@echo '          CLASS_WEIGHTS=balanced MIXED_PRECISION=auto|on|off TENSORBOARD=1 QAT=1 SEED WORKERS=host:port,...'
	@echo '          WORKER_INDEX WORKER_TIMEOUT=seconds JSON=1]'
	@echo 'bench:    MODEL [DEVICE=serial|all|local PRECISION=int8,... FORMAT RUNNER RUNNER_PATH DELEGATE=cpu,gpu THREADS=1,4'
	@echo '          AFFINITY=big|prime|... REPEATS ACCURACY=n SUSTAINED=minutes RESUME=1 DRY_RUN=1 STRICT=1 AA=1 WEIGHTS'
	@echo '          DATASET ADB_SERVER SEED JSON=1]; more: $(PY) -m device_bench bench --help'
	@echo 'baseline: MODEL [ENGINE=auto|onnxruntime-cuda,... PRECISION=float32,tf32,float16 BATCH=1,8 GPU_INDEX THREADS'
	@echo '          REPEATS SEED WEIGHTS DATASET DRY_RUN=1 JSON=1]'
	@echo 'compare:  OLD NEW [MAX_REGRESSION=5% ACROSS=runner,... JSON=1]'
	@echo 'report:   [MODEL WEIGHTS DATASET JSON=1]'
	@echo
	@echo 'make ends with 2 whatever failed; `$(PY) -m export run` tells 1 (a check failed) from 2 (bad input).'

# It needs no set-up, and says what one would lack.
doctor: ## check this machine: what is there, and what to install for which command
	@python=$(PY); "$$python" -c '' >/dev/null 2>&1 || python=$$(sh .ci/setup which) || exit; \
	  "$$python" -m device_bench doctor $(if $(JSON),--json)

setup: ## make .venv with the locked dependencies; does nothing when it fits (PYTHON=... chooses the interpreter)
	@sh .ci/setup

# What MediaPipe asks for to draw and to record, which nobody does here: 0.3 GB, and Keras would load it at every start.
UNUSED := opencv-contrib-python matplotlib contourpy cycler fonttools kiwisolver pyparsing sounddevice cffi pycparser

lock: ## resolve requirements.lock again, keeping the versions in it (UPGRADE=1 moves them); needs uv
	@uv --version >/dev/null 2>&1 || { echo 'make lock needs uv: python3 -m pip install uv' >&2; exit 2; }
	@uv pip compile --quiet --universal --python-version 3.11 --extra dev --generate-hashes --only-binary :all: \
	  --no-emit-index-url --no-emit-find-links $(UNUSED:%=--no-emit-package %) --custom-compile-command 'make lock' $${UPGRADE:+--upgrade} \
	  --output-file requirements.lock pyproject.toml

# The colon must touch the name: `export :` would be make's keyword.
export: setup ## turn MODEL into verified .tflite and .onnx files under build/
	@$(PY) -m export run "--model=$$MODEL" $${WEIGHTS:+"--weights=$$WEIGHTS"} $${DATASET:+"--dataset=$$DATASET"} \
	  $${PREPROCESSING:+"--preprocessing=$$PREPROCESSING"} $${LABELS:+"--labels=$$LABELS"} \
	  $${PRECISION:+"--precision=$$PRECISION"} $${FORMAT:+"--format=$$FORMAT"} \
	  $${CALIBRATION_IMAGES:+"--calibration-images=$$CALIBRATION_IMAGES"} $${QUANTIZATION:+"--quantization=$$QUANTIZATION"} $${MAX_DROP:+"--max-drop=$$MAX_DROP"} $(if $(ALLOW_QAT),--allow-qat) \
	  $${SEED:+"--seed=$$SEED"} $${OUTPUT:+"--output=$$OUTPUT"} $${AUTHOR:+"--author=$$AUTHOR"} $${LICENSE:+"--license=$$LICENSE"} \
	  $(if $(filter-out 0,$(JSON)),--json)

bundle: setup ## make the folder and zip that app developers receive of MODEL; exports it if need be
	@$(PY) -m export bundle "--model=$$MODEL" $${WEIGHTS:+"--weights=$$WEIGHTS"} $${DATASET:+"--dataset=$$DATASET"} \
	  $${PREPROCESSING:+"--preprocessing=$$PREPROCESSING"} $${LABELS:+"--labels=$$LABELS"} \
	  $${PRECISION:+"--precision=$$PRECISION"} $${FORMAT:+"--format=$$FORMAT"} \
	  $${CALIBRATION_IMAGES:+"--calibration-images=$$CALIBRATION_IMAGES"} \
	  $${QUANTIZATION:+"--quantization=$$QUANTIZATION"} $${SEED:+"--seed=$$SEED"} $${OUTPUT:+"--output=$$OUTPUT"} \
	  $${AUTHOR:+"--author=$$AUTHOR"} $${LICENSE:+"--license=$$LICENSE"} $${PURPOSE:+"--purpose=$$PURPOSE"} $(if $(JSON),--json)

diagnose: setup ## why MODEL's int8 file is worse than its float file, and what to try next: diagnosis.html
	@$(PY) -m export diagnose $${WEIGHTS:+"--weights=$$WEIGHTS"} $${DATASET:+"--dataset=$$DATASET"} \
	  $${PREPROCESSING:+"--preprocessing=$$PREPROCESSING"} $${PRECISION:+"--precision=$$PRECISION"} $(if $(JSON),--json) -- "$$MODEL"

train: setup ## train MODEL on DATASET; interrupted, the same command goes on
	@$(PY) -m models train "--model=$$MODEL" $${DATASET:+"--dataset=$$DATASET"} $${RECIPE:+"--recipe=$$RECIPE"} \
	  $${EPOCHS:+"--epochs=$$EPOCHS"} $${LEARNING_RATE:+"--learning-rate=$$LEARNING_RATE"} $${BATCH_SIZE:+"--batch-size=$$BATCH_SIZE"} \
	  $${FINE_TUNE:+"--fine-tune=$$FINE_TUNE"} $${FROZEN_EPOCHS:+"--frozen-epochs=$$FROZEN_EPOCHS"} \
	  $${FLIP:+"--flip=$$FLIP"} $${CLASS_WEIGHTS:+"--class-weights=$$CLASS_WEIGHTS"} \
	  $${MIXED_PRECISION:+"--mixed-precision=$$MIXED_PRECISION"} $${SEED:+"--seed=$$SEED"} \
	  $${WORKERS:+"--workers=$$WORKERS"} $${WORKER_INDEX:+"--worker-index=$$WORKER_INDEX"} \
	  $${WORKER_TIMEOUT:+"--worker-timeout=$$WORKER_TIMEOUT"} $(if $(TENSORBOARD),--tensorboard) $(if $(QAT),--qat) $(if $(filter-out 0,$(JSON)),--json)

models: setup ## list the models with parameters, mult-adds and published accuracy
	@$(PY) -m models list $(if $(filter-out 0,$(JSON)),--json)

bench: setup ## push MODEL's files to phones, check that they compute right there, and measure them
	@$(PY) -m device_bench bench "--model=$$MODEL" $${WEIGHTS:+"--weights=$$WEIGHTS"} $${DATASET:+"--dataset=$$DATASET"} \
	  $${PRECISION:+"--precision=$$PRECISION"} $${FORMAT:+"--format=$$FORMAT"} $${DEVICE:+"--device=$$DEVICE"} \
	  $${ADB_SERVER:+"--adb-server=$$ADB_SERVER"} $${RUNNER:+"--runner=$$RUNNER"} \
	  $${RUNNER_PATH:+"--runner-path=$$RUNNER_PATH"} $${DELEGATE:+"--delegate=$$DELEGATE"} \
	  $${THREADS:+"--threads=$$THREADS"} $${AFFINITY:+"--affinity=$$AFFINITY"} $${REPEATS:+"--repeats=$$REPEATS"} \
	  $${ACCURACY:+"--accuracy=$$ACCURACY"} $${SUSTAINED:+"--sustained=$$SUSTAINED"} $${SEED:+"--seed=$$SEED"} \
	  $(if $(RESUME),--resume) $(if $(DRY_RUN),--dry-run) $(if $(STRICT),--strict) $(if $(AA),--aa) $(if $(JSON),--json)

devices: setup ## list phones with their state
	@$(PY) -m device_bench devices $${ADB_SERVER:+"--adb-server=$$ADB_SERVER"} $(if $(JSON),--json)

baseline: setup ## measure MODEL on this desktop: its GPU, else its CPU, labelled so
	@$(PY) -m device_bench baseline "--model=$$MODEL" $${WEIGHTS:+"--weights=$$WEIGHTS"} $${DATASET:+"--dataset=$$DATASET"} \
	  $${ENGINE:+"--engine=$$ENGINE"} $${PRECISION:+"--precision=$$PRECISION"} $${BATCH:+"--batch=$$BATCH"} \
	  $${GPU_INDEX:+"--gpu-index=$$GPU_INDEX"} $${THREADS:+"--threads=$$THREADS"} $${REPEATS:+"--repeats=$$REPEATS"} \
	  $${SEED:+"--seed=$$SEED"} $(if $(DRY_RUN),--dry-run) $(if $(JSON),--json)

report: setup ## set everything measured side by side: report.html, report.md, report.json
	@$(PY) -m device_bench report $${MODEL:+"--model=$$MODEL"} $${WEIGHTS:+"--weights=$$WEIGHTS"} \
	  $${DATASET:+"--dataset=$$DATASET"} $(if $(JSON),--json)

compare: setup ## set benchmarks NEW against OLD (files or folders); fails on a slowdown beyond MAX_REGRESSION (5%)
	@$(PY) -m device_bench compare "$$OLD" "$$NEW" $${MAX_REGRESSION:+"--max-regression=$$MAX_REGRESSION"} \
	  $${ACROSS:+"--across=$$ACROSS"} $(if $(JSON),--json)

history: setup ## course of all stored benchmarks, or of MODEL's
	@$(PY) -m device_bench history $${MODEL:+"$$MODEL"} $(if $(JSON),--json)

lab: setup ## start an emulated ARM64 phone behind a real adbd (Linux; builds it on the first call, 3 minutes)
	@$(PY) -m device_bench lab up $${DEVICE:+"--device=$$DEVICE"}

lab-down: setup ## stop it, and leave nothing of it
	@$(PY) -m device_bench lab down

test: setup ## run the default tests (no slow, lab, gpu or device ones)
	@$(PY) -m pytest -n 2 --dist loadfile

slow-test: setup ## run the slow tests
	@$(PY) -m pytest -m "slow and not lab"

lab-test: setup ## run the tests on emulated phones (Linux; builds them on the first call)
	@$(PY) -m device_bench lab build
	@$(PY) -m pytest -m lab

page-test: setup ## run the tests of the report's and the bundle's page in Chromium (apt install chromium npm)
	@$(PY) -m pytest -m page

check: static test ## all that continuous integration runs

static: setup ## check format, lint, types and the layers
	@$(PY) -m ruff format --check --quiet
	@$(PY) -m ruff check --quiet
	@$(PY) -m mypy
	@$(PY) -c 'from importlinter.cli import lint_imports_command; lint_imports_command(["--no-logo"])'

format: setup ## format the code and repair what lint can repair
	@$(PY) -m ruff format
	@$(PY) -m ruff check --fix

clean: ## remove .venv and the tools' caches; build/ with your models stays
	@rm -rf .venv .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	@find models export device_bench tests -name __pycache__ -type d -prune -exec rm -rf {} +
