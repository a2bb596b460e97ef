"""Plans: what runs, in which order, and when two are the same."""

import json
from collections import Counter

from device_bench.measuring.plan import Job, Plan
from tests.device_bench.cases import make_case, make_plan

CASES = tuple(make_case(precision, threads=threads) for precision in ("float32", "int8") for threads in (1, 2, 4))


def test_every_case_runs_once_in_every_round_before_the_next_round_begins() -> None:
    latency = [job for job in make_plan(*CASES).jobs() if job.kind == "latency"]
    assert len(latency) == 5 * len(CASES)
    for turn in range(5):
        block = latency[turn * len(CASES) : (turn + 1) * len(CASES)]
        assert {job.round for job in block} == {turn}
        assert Counter(job.case for job in block) == Counter(case.name for case in CASES)


def test_the_order_differs_from_round_to_round_and_is_the_same_for_the_same_seed() -> None:
    def orders(seed: int) -> list[tuple[str, ...]]:
        jobs = [job for job in make_plan(*CASES, seed=seed).jobs() if job.kind == "latency"]
        return [tuple(job.case for job in jobs[at : at + len(CASES)]) for at in range(0, len(jobs), len(CASES))]

    assert len(set(orders(0))) > 1
    assert orders(0) == orders(0)
    assert orders(0) != orders(1)


def test_memory_and_operators_are_looked_at_last_once_and_only_if_asked_for() -> None:
    jobs = make_plan(*CASES).jobs()
    assert [job.kind for job in jobs[5 * len(CASES) :]] == ["memory"] * len(CASES) + ["profile"] * len(CASES)
    assert {job.kind for job in make_plan(*CASES, memory=False, profile=False).jobs()} == {"latency"}


def test_no_process_is_spent_on_a_pass_that_a_runner_lacks() -> None:
    plan = make_plan(*CASES, lacking=((CASES[0].name, "profile", "it has no operator profile"),))
    jobs = plan.jobs()
    assert {job.case for job in jobs if job.kind == "profile"} == {case.name for case in CASES[1:]}
    assert {job.case for job in jobs if job.kind == "memory"} == {case.name for case in CASES}
    assert Plan.from_json(json.loads(json.dumps(plan.to_json()))) == plan


def test_names_of_jobs_are_unique_and_fit_for_folders() -> None:
    names = [job.name for job in make_plan(*CASES).jobs()]
    assert len(set(names)) == len(names)
    assert Job(case=CASES[0].name, kind="latency", round=3).name == "float32.tflite-classic-cpu-1t-none/latency-3"


def test_a_plan_survives_json_and_its_digest_tells_plans_apart() -> None:
    plan = make_plan(*CASES, skipped=(("x", "no such delegate"),))
    assert Plan.from_json(plan.to_json()) == plan
    assert Plan.from_json(plan.to_json()).digest == plan.digest
    others = [make_plan(*CASES, repeats=6), make_plan(*CASES[:-1]), make_plan(*CASES, seed=1)]
    assert len({plan.digest, *(other.digest for other in others)}) == 4


def test_the_twin_runs_once_in_every_round_at_a_place_of_its_own() -> None:
    plan = make_plan(*CASES, aa=True)
    latency = [job for job in plan.jobs() if job.kind in ("latency", "twin")]
    assert plan.twin == CASES[0].name
    assert len(latency) == 5 * (len(CASES) + 1)
    places = []
    for turn in range(5):
        block = latency[turn * (len(CASES) + 1) : (turn + 1) * (len(CASES) + 1)]
        assert {job.round for job in block} == {turn}
        assert [job.case for job in block if job.kind == "twin"] == [plan.twin]
        places.append(next(place for place, job in enumerate(block) if job.kind == "twin"))
    assert len(set(places)) > 1


def test_no_twin_runs_unless_asked_for_and_plans_of_before_there_were_any_load() -> None:
    plan = make_plan(*CASES)
    assert (plan.twin, {job.kind for job in plan.jobs()}) == (None, {"latency", "memory", "profile"})
    old = plan.to_json()
    del old["aa"]
    assert Plan.from_json(old) == plan
    assert make_plan(*CASES, aa=True).digest != plan.digest
