"""Runs a baseline: tries the engines, sweeps the batches, measures in rounds of random order, records each process."""

from __future__ import annotations

import os
import random
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from device_bench.baseline.attempt import Attempt, EngineOutcome
from device_bench.baseline.case import Accelerator, BaselineCase, FailureKind, Kind, Precision
from device_bench.baseline.check import Checker
from device_bench.baseline.engines import ENGINES, FALLBACK, Engine, refusal
from device_bench.baseline.gpu import ChosenGpu, read_gpus
from device_bench.baseline.plan import BaselineRequest, Sources
from device_bench.baseline.processes import Outcome, run_request
from device_bench.baseline.program.request import Request, Settings
from device_bench.baseline.record import BaselineRecord
from device_bench.baseline.summary import Knee
from device_bench.baseline.sweep import find_knee
from device_bench.record_file import now_utc, save_record
from device_bench.target import Target
from models.errors import DeviceError
from models.files import output_errors
from models.worker import Progress, Report

_SWEEP = Settings(runs=10, min_s=0.4, max_s=8.0, warmup_min_s=0.3, warmup_max_s=4.0)
"""Shorter than what counts: it only has to see whether images per second grow by a twentieth."""

_SAME_EVERYWHERE: frozenset[FailureKind] = frozenset({"not_installed", "no_device"})
"""Failures that another precision would meet again."""


@dataclass(slots=True, kw_only=True)
class Baseline:
    """One run, in an open session of this machine."""

    target: Target
    folder: Path
    """Private, of the session."""
    request: BaselineRequest
    sources: Sources
    checker: Checker
    gpu: ChosenGpu
    record: BaselineRecord
    path: Path
    report: Report
    _engines: dict[str, Engine] = field(default_factory=dict)

    def run(self) -> None:
        """Does all of it; the record has everything that was found out, whatever ends it.

        Raises:
            DeviceError: this machine cannot start processes.
        """
        with output_errors(self._inputs):
            np.save(self._inputs, self.checker.inputs, allow_pickle=False)
        self._admit_all()
        for row in [row for row in self.record.engines if row.taken]:
            self._choose_batches(self._engines[row.engine], row.precision)  # type: ignore[arg-type]
        self._measure_rounds()
        self.record.finished = now_utc()
        self._save()

    # Which engines

    def _admit_all(self) -> None:
        if self.request.engines:
            for engine in self.request.engines:
                self._admit(engine)
            return
        for engine in ENGINES.values():
            if engine.accelerator == "gpu" and self._admit(engine):
                return
        self._admit(FALLBACK)

    def _admit(self, engine: Engine) -> bool:
        """Tries an engine in all precisions; whether it is taken in any, or computes wrong, which must be seen."""
        self._engines[engine.name] = engine
        rows = []
        for precision in self.request.precisions:
            self._say("try engines", len(self.record.engines), len(self.record.engines) + 1, engine.name)
            rows.append(self._try(engine, precision))
            self.record.engines.append(rows[-1])
            self._save()
            if rows[-1].failure_kind in _SAME_EVERYWHERE:
                break
        return any(row.taken or row.failure_kind == "wrong" for row in rows)

    def _try(self, engine: Engine, precision: Precision) -> EngineOutcome:
        """One process that computes the test pictures, and proves where."""
        row = EngineOutcome(
            engine=engine.name,
            precision=precision,
            taken=False,
            reason=refusal(engine, precision),
            failure_kind="unsupported",
            placement=None,
            versions={},
            check=None,
        )
        if row.reason is None and not self.request.engines and not engine.tells_device:
            untold = f"{engine.name} does not tell what it computes on; name it with --engine to measure it unproven"
            row = replace(row, reason=untold)
        if row.reason is None and engine.format == "keras" and isinstance(self.sources.checkpoint, str):
            row = replace(row, reason=self.sources.checkpoint)
        if row.reason is not None:
            return row
        outcome = self._start(engine, "prove", precision, 1, self.request.settings)
        failure, kind, check = self._judge(engine, precision, outcome)
        return replace(
            row,
            taken=failure is None,
            reason=failure,
            failure_kind=kind,
            placement=outcome.placement,
            versions=outcome.versions,
            check=check,
        )

    def _judge(
        self, engine: Engine, precision: Precision, outcome: Outcome
    ) -> tuple[str | None, FailureKind | None, Any]:
        """Why an outcome must not be believed, the kind of that, and the comparison of its outputs."""
        if outcome.failure is not None or outcome.placement is None or outcome.outputs is None:
            return outcome.failure or "no outputs", outcome.failure_kind or "crashed", None
        place, wanted = outcome.placement, self._device(engine)
        if not place.whole or (engine.tells_device and place.accelerator != wanted):
            text = f"asked for the {wanted.upper()}, it computed on {place.device}: {place.evidence}"
            return text, "elsewhere", None
        on_gpu = place.accelerator == "gpu"
        check = self.checker.compare(engine, precision, outcome.outputs, on_gpu=on_gpu)
        return (None, None, check) if check.passed else (f"wrong numbers: {check.failure}", "wrong", check)

    # Which batches

    def _choose_batches(self, engine: Engine, precision: Precision) -> None:
        if self.request.batches:
            self.record.cases += (self._case(engine, precision, batch) for batch in self.request.batches)
            return
        rates: list[tuple[int, float]] = []
        batch, failure, knee = 1, None, None
        while knee is None and failure is None:
            case = self._case(engine, precision, batch)
            self._say("sweep batches", len(self.record.attempts), len(self.record.attempts) + 1, case.name)
            attempt = self._attempt(engine, case, "sweep", 0, _SWEEP)
            failure = attempt.failure
            if attempt.valid and attempt.measured:
                samples = attempt.measured.samples_us
                rates.append((batch, batch / float(np.median(samples["compute"] or samples["end_to_end"] or ())) * 1e6))
            if failure is None or batch == 1:
                # A single image that fails is a case all the same: its failure belongs into the results.
                self.record.cases.append(case)
            knee = find_knee(rates, failure)
            batch *= 2
        if knee is not None:
            self.record.knees.append(
                Knee(
                    engine=engine.name,
                    precision=precision,
                    batch=knee.batch,
                    images_per_s=knee.images_per_s,
                    reason=knee.reason,
                )
            )

    # What counts

    def _measure_rounds(self) -> None:
        order = random.Random(self.request.seed)  # noqa: S311 - an order, no secret
        total = len(self.record.cases) * self.request.repeats
        done = 0
        for turn in range(self.request.repeats):
            cases = list(self.record.cases)
            order.shuffle(cases)
            for case in cases:
                self._say("measure", done, total, case.name)
                if not self._is_worthless(case):
                    self._attempt(self._engines[case.engine], case, "latency", turn, self.request.settings)
                done += 1
        self._say("measure", total, total, "")

    def _is_worthless(self, case: BaselineCase) -> bool:
        """Whether a process of this case failed: another would only repeat it."""
        return any(attempt.failure for attempt in self.record.attempts_of(case.name, "latency"))

    def _attempt(self, engine: Engine, case: BaselineCase, kind: Kind, turn: int, settings: Settings) -> Attempt:
        before, started = self._telemetry(), now_utc()
        outcome = self._start(engine, "measure", case.precision, case.batch, settings)
        failure, failure_kind, _ = self._judge(engine, case.precision, outcome)
        attempt = Attempt(
            case=case.name,
            kind=kind,
            round=turn,
            started=started,
            argv=outcome.argv,
            environment=outcome.environment,
            exit_code=outcome.exit_code,
            wall_s=outcome.wall_s,
            placement=outcome.placement,
            measured=outcome.measured,
            failure=failure,
            failure_kind=failure_kind,
            telemetry={"before": before, "after": self._telemetry()},
        )
        self.record.attempts.append(attempt)
        self._save()
        return attempt

    def _start(
        self, engine: Engine, mode: Literal["prove", "measure"], precision: Precision, batch: int, settings: Settings
    ) -> Outcome:
        folder = self.folder / f"process-{secrets.token_hex(4)}"
        request = Request(
            mode=mode,
            engine=engine,
            device=self._device(engine),
            precision=precision,
            batch=batch,
            threads=self.request.threads,
            model=str(self._model(engine, precision)),
            zoo_name=self.sources.zoo_name,
            classes=self.sources.classes,
            softmax=self.checker.artifact("onnx", "float32").output.name != "logits",
            inputs=str(self._inputs),
            outputs=str(folder / "outputs.npy"),
            folder=str(folder),
            settings=settings,
        )
        return run_request(self.target, request, self.gpu.environment)

    def _model(self, engine: Engine, precision: Precision) -> Path:
        if engine.format == "keras":
            return Path(self.sources.checkpoint).resolve()
        artifact = self.checker.artifact(engine.format, engine.file_precision(precision))
        return (self.sources.folder / artifact.file).resolve()

    def _device(self, engine: Engine) -> Accelerator:
        return self.request.device or engine.accelerator

    def _case(self, engine: Engine, precision: Precision, batch: int) -> BaselineCase:
        return BaselineCase(engine=engine.name, precision=precision, batch=batch, threads=self.request.threads)

    def _telemetry(self) -> dict[str, Any]:
        return {"gpu": self._gpu_now(), "load_1min": os.getloadavg()[0]}

    def _gpu_now(self) -> Mapping[str, Any] | None:
        if self.gpu.state is None:
            return None
        try:
            return next((gpu.to_json() for gpu in read_gpus() if gpu.uuid == self.gpu.state.uuid), None)
        except DeviceError:
            return None

    @property
    def _inputs(self) -> Path:
        return self.folder / "inputs.npy"

    def _say(self, stage: str, done: int, total: int, detail: str) -> None:
        self.report(Progress(stage=stage, done=done, total=total, detail=detail))

    def _save(self) -> None:
        save_record(self.path, self.record)
