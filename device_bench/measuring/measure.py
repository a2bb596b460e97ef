"""Runs a plan on one target: the comparison of outputs first, then process after process, each recorded at once."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from device_bench.case import Case
from device_bench.measuring.artifacts import Exported, Pictures
from device_bench.measuring.attempt import Attempt
from device_bench.measuring.check import DesktopOutputs, check_case
from device_bench.measuring.plan import Job, Plan
from device_bench.measuring.record import BenchRecord, check_name
from device_bench.record_file import now_utc, save_record
from device_bench.result import RunnerOutput
from device_bench.runners.runner import Runner
from device_bench.state.cpus import verify_allowed
from device_bench.state.thermal import Cooling, Limits, throttled, wait_until_cool
from device_bench.target import Command, DeviceUnderTest, Finished, Target
from models.errors import DeviceError, LinkError, RunnerOutputError
from models.files import output_errors
from models.worker import Progress, Report

TRIES = 3
"""Processes per job at most, and transport failures in a row at most before a target is given up."""

_PATIENCE_S = 30.0
_FRESH_S = 2.0


def anonymous(text: str, target: Target) -> str:
    """`text` without the serial number, as it may be kept and handed on."""
    return text if target.name == "local" else text.replace(target.name, "the device")


def _is_lost(error: DeviceError) -> bool:
    """Whether the connection is to blame.

    An output that looks cut off is not its fault: the answer it came in was proved to be whole.
    """
    return error.transient and not isinstance(error, RunnerOutputError)


def fallback(case: Case, output: RunnerOutput) -> str | None:
    """How the log tells that the delegate asked for ran nothing; None if it did run."""
    if case.delegate == "cpu":
        return None
    verdicts = [row for row in output.delegations if row.delegate == case.delegate]
    if any(row.verdict in ("full", "partial") for row in verdicts):
        return None
    said = verdicts[0].evidence[:1] if verdicts else ()
    return f"asked for {case.delegate}, ran on the CPU" + (f": {said[0]}" if said else "")


@dataclass(slots=True, kw_only=True)
class Measurement:
    """One benchmark on one target, whose session is open."""

    target: DeviceUnderTest
    folder: str
    """Private folder on the target."""
    exported: Exported
    pictures: Pictures
    runners: Mapping[str, Runner]
    """By name."""
    desktop: DesktopOutputs
    record: BenchRecord
    path: Path
    """Of the record; raw outputs go beside it."""
    limits: Limits
    patience_s: float
    """How long a warm phone may take to cool down before a process."""
    fixed_performance: bool
    """Android's mode of that name is on."""
    report: Report
    _pushed: set[str] = field(default_factory=set)
    _lost: int = 0
    """Transport failures in a row."""
    _last_look: tuple[float, Cooling] | None = None
    """After the last process, and when."""
    _started: float = field(default_factory=time.monotonic)

    @property
    def plan(self) -> Plan:
        """What is to be done."""
        return self.record.plan

    def run(self) -> None:
        """Does what the record does not have yet.

        Raises:
            DeviceError: the connection is lost for good; the record has everything up to then.
        """
        cases = {case.name: case for case in self.plan.cases}
        for case in self.plan.cases:
            self._check(case)
        jobs = [job for job in self.plan.jobs() if not self.record.is_done(job)]
        for done, job in enumerate(jobs):
            if self._is_worthless(job):
                continue
            self._say(done, len(jobs), job)
            self._do(job, cases[job.case])
        for case in self.plan.cases:
            self._sustain(case)
        self._say(len(jobs), len(jobs), None)
        self.record.finished = now_utc()
        self._save()

    def _is_worthless(self, job: Job) -> bool:
        """Whether the case has failed in a way that another process would only repeat."""
        return any(a.failure and not a.transient for a in self.record.attempts if a.job.case == job.case) or (
            (self.record.case_failure(job.case) or "").startswith("wrong numbers")
        )

    def _say(self, done: int, total: int, job: Job | None) -> None:
        elapsed = time.monotonic() - self._started
        left = f"{elapsed / done * (total - done):.0f} s left" if done else ""
        detail = f"{job.case} {job.kind} {left}" if job else ""
        self.report(Progress(stage=f"measure {self.target.name}"[:28], done=done, total=total, detail=detail))

    def _save(self) -> None:
        save_record(self.path, self.record)

    # Outputs against the desktop's

    def _check(self, case: Case) -> None:
        name = check_name(case.runner, case.model.file, case.delegate)
        wanted = max(self.plan.check_images, self.plan.accuracy_images)
        if not wanted or (name in self.record.checks and not isinstance(self.record.checks[name], str)):
            return
        self.report(Progress(stage=f"check {self.target.name}"[:28], done=0, total=1, detail=name))
        for left in reversed(range(TRIES)):
            try:
                model = self._model_path(case)
                outcome = check_case(
                    self.target, self.runners[case.runner], case, model, self.folder, self.exported, self.pictures,
                    self.desktop, check=self.plan.check_images, accuracy=self.plan.accuracy_images,
                )  # fmt: skip
            except DeviceError as error:
                if _is_lost(error):
                    self._recover(error, last=not left)
                    continue
                # Not a reason to stop: the latency processes will fail likewise and say it of their case.
                self.record.checks[name] = anonymous(f"not computed: {error}", self.target)
                break
            else:
                self.record.checks[name] = outcome.check
                if outcome.accuracy is not None:
                    self.record.accuracy[name] = outcome.accuracy
                break
        self.report(Progress(stage=f"check {self.target.name}"[:28], done=1, total=1, detail=name))
        self._save()

    # Latency, memory, operators

    def _do(self, job: Job, case: Case, elapsed_s: float | None = None) -> Attempt:
        """Runs one process, again if the connection fails.

        Raises:
            DeviceError: it failed too often.
        """
        for number in range(1, TRIES + 1):
            attempt = self._attempt(job, case, number, elapsed_s)
            self.record.attempts.append(attempt)
            self._save()
            if not attempt.transient:
                self._lost = 0
                break
            self._recover(LinkError(attempt.failure or "", transient=True), last=number == TRIES)
        return attempt

    def _attempt(self, job: Job, case: Case, number: int, elapsed_s: float | None) -> Attempt:
        begun, started = time.monotonic(), now_utc()
        raw = f"{self.path.stem}/{job.name}" + (f"-try{number}" if number > 1 else "")
        keep = self.path.parent / raw
        command, finished, output, failure = None, None, None, None
        transient, elsewhere = False, False
        telemetry: dict[str, Any] = {} if elapsed_s is None else {"elapsed_s": elapsed_s}
        gate, waited_s = "unknown", 0.0
        reasons: tuple[str, ...] = ()
        try:
            cooled = self._wait()
            gate, waited_s = cooled.outcome, cooled.waited_s
            telemetry["before"] = cooled.telemetry.to_json()
            folder = f"{self.folder}/{job.kind}-{len(self.record.attempts)}"
            self._tell(f"mkdir {shlex.quote(folder)}")
            runner = self.runners[case.runner]
            command = runner.command(case, job.kind, self.plan.settings, self._model_path(case), folder)
            finished = self.target.execute(command, folder, timeout_s=self.plan.settings.timeout_s)
            self._keep(keep, command, finished, runner.result_files(job.kind), folder)
            after = wait_until_cool(self.target, self.limits, patience_s=0.0, report=self.report)
            self._last_look = time.monotonic(), after
            telemetry["after"] = after.telemetry.to_json()
            reasons = throttled(cooled.telemetry, after.telemetry, fixed_performance=self.fixed_performance)
            self._tell(f"rm -rf {shlex.quote(folder)}")
            output = runner.read(case, job.kind, finished, keep, command)
            if case.cpu_mask is not None and finished.allowed_cpus is not None:
                verify_allowed(finished.allowed_cpus, case.cpu_mask)
            failure = fallback(case, output)
            elsewhere = failure is not None
        except DeviceError as error:
            failure, transient = anonymous(str(error), self.target), _is_lost(error)
        return Attempt(
            job=job,
            number=number,
            started=started,
            argv=command.argv if command else (),
            environment=command.environment if command else {},
            allowed_cpus=finished.allowed_cpus if finished else None,
            exit_code=finished.exit_code if finished else None,
            wall_s=finished.wall_s if finished else 0.0,
            harness_s=time.monotonic() - begun - waited_s - (finished.wall_s if finished else 0.0),
            raw=raw,
            output=output,
            failure=failure,
            transient=transient,
            elsewhere=elsewhere,
            throttled=reasons,
            gate=gate,
            telemetry=telemetry,
        )

    def _wait(self) -> Cooling:
        """A look at the target that allows to begin, or the last one if it never did."""
        if self._last_look is not None:
            moment, look = self._last_look
            # What followed the last process precedes this one.
            if look.outcome != "gave_up" and time.monotonic() - moment < _FRESH_S:
                return look
        return wait_until_cool(self.target, self.limits, patience_s=self.patience_s, report=self.report)

    def _keep(self, keep: Path, command: Command, finished: Finished, files: Sequence[str], folder: str) -> None:
        """Raw outputs as a recording that `parse` reads."""
        with output_errors(keep):
            keep.mkdir(parents=True, exist_ok=True)
            words = [f"{name}={value}" for name, value in command.environment.items()]
            (keep / "cmd").write_text(shlex.join([*words, *command.argv]) + "\n", "utf-8")
            (keep / "stdout").write_bytes(finished.stdout)
            (keep / "stderr").write_bytes(finished.stderr)
            (keep / "exit_code").write_text(f"{finished.exit_code}\n", "ascii")
        if finished.exit_code == 0:
            for file in files:
                self.target.pull(f"{folder}/{file}", keep / file)

    def _model_path(self, case: Case) -> str:
        """The artifact on the target, pushed if it is not there yet; under a plain name, whatever its own is."""
        remote = f"{self.folder}/{case.model.precision}.{case.model.format}"
        if remote not in self._pushed:
            self.target.push(self.exported.folder / case.model.file, remote)
            self._pushed.add(remote)
        return remote

    def _tell(self, script: str) -> None:
        finished = self.target.shell(script)
        if finished.exit_code:
            said = finished.stderr.decode("utf-8", "replace").strip()
            raise DeviceError(f"{self.target.name} refused `{script}`: {said}; free or mend its storage")

    def _recover(self, error: DeviceError, *, last: bool) -> None:
        """Waits for a lost target to come back.

        Raises:
            DeviceError: it did not, or was lost too often in a row.
        """
        self._lost += 1
        if last or self._lost >= TRIES:
            raise error
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            try:
                self.target.recover()
            except DeviceError as still:
                if time.monotonic() > deadline:
                    raise error from still
                time.sleep(1.0)
            else:
                return

    # The same case for minutes

    def _sustain(self, case: Case) -> None:
        if not self.plan.sustained_min or self.record.case_failure(case.name):
            return
        stage, total = f"sustained {self.target.name}"[:28], round(self.plan.sustained_min * 60)
        done = self.record.attempts_of(case.name, "sustained")
        if done and float(done[-1].telemetry["elapsed_s"]) >= total * 0.9:
            return
        self.record.attempts = [a for a in self.record.attempts if a not in done]
        started, turn = time.monotonic(), 0
        while (elapsed := time.monotonic() - started) < total:
            self.report(Progress(stage=stage, done=int(elapsed), total=total, detail=case.name))
            attempt = self._do(Job(case=case.name, kind="sustained", round=turn), case, elapsed)
            if not attempt.valid:
                break
            turn += 1
        self.report(Progress(stage=stage, done=total, total=total, detail=case.name))
