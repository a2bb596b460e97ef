import json
import socket
from contextlib import ExitStack, nullcontext, suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import TeamError, UsageError
from models.training.team import PATIENCE_S, Team, find_team

TWO = ("10.0.0.5:7000", "10.0.0.6:7000")


@pytest.fixture
def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def config(workers: Any = TWO, kind: str = "worker", index: Any = 1, **others: Any) -> dict[str, str]:
    cluster = {"worker": list(workers), **others}
    return {"TF_CONFIG": json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}})}


def test_without_addresses_a_training_is_alone() -> None:
    assert find_team((), None, {}) is None
    assert find_team((), None, {"TF_CONFIG": " "}) is None
    assert find_team(TWO[:1], 0, {}) is None
    assert find_team((), None, config(TWO[:1], index=0)) is None


def test_the_first_worker_leads() -> None:
    leading, helping = (find_team(TWO, index, {}, patience_s=9) for index in (0, 1))
    assert leading == Team(addresses=TWO, index=0, patience_s=9)
    assert leading.leads
    assert helping
    assert not helping.leads
    assert helping.names([0, 1]) == "worker 0 (10.0.0.5:7000) and worker 1 (10.0.0.6:7000)"


def test_the_variable_of_tensorflow_counts_where_no_option_is_given() -> None:
    assert find_team((), None, config()) == Team(addresses=TWO, index=1, patience_s=PATIENCE_S)
    other = ("a.example:1", "b.example:2", "[::1]:3")
    found = find_team(other, 2, config())
    assert found
    assert (found.addresses, found.index) == (other, 2)


@pytest.mark.parametrize(
    ("workers", "index", "message"),
    [
        ((), 1, "--worker-index 1 needs the addresses of all workers as well: --workers 10.0.0.5:7000,10.0.0.6:7000"),
        (TWO, None, "--worker-index is missing: say which of the 2 workers this is, from 0"),
        (TWO, 2, "--worker-index 2 is none of the 2 workers; they are counted from 0"),
        (TWO, -1, "--worker-index -1 is none of the 2 workers; they are counted from 0"),
        (
            ("a:1", "a:1"), 0, "--workers: 'a:1' is there twice; every worker needs an address of its own",
        ),
    ],
)  # fmt: skip
def test_half_a_team_is_refused(workers: tuple[str, ...], index: int | None, message: str) -> None:
    with pytest.raises(UsageError) as refusal:
        find_team(workers, index, {})
    assert str(refusal.value) == message


@pytest.mark.parametrize(
    "address", ["host", "host:", ":7000", "host:0", "host:65536", "ho st:1", "h:1/2", "h:¹", "::1:3"]
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(UsageError) as refusal:
        find_team((address, TWO[0]), 0, {})
    assert str(refusal.value) == (
        f"--workers: {address!r} is no host:port; give one for each worker, as in --workers 10.0.0.5:7000,10.0.0.6:7000"
    )


@pytest.mark.parametrize(
    "text", ["{", "[]", "{}", '{"cluster": {"worker": ["a:1", "b:1"]}}', config(index="x")["TF_CONFIG"]]
)
def test_a_variable_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(
        UsageError, match=r"^TF_CONFIG cannot be read \(.*\); correct it or unset it, or use --workers$"
    ):
        find_team((), None, {"TF_CONFIG": text})


def test_tasks_of_other_kinds_are_refused() -> None:
    with pytest.raises(UsageError, match=r"^TF_CONFIG has tasks of the kind chief, ps; here all are workers; "):
        find_team((), None, config(chief=["c:1"], ps=["d:1"]))
    with pytest.raises(UsageError, match=r"^TF_CONFIG has tasks of the kind 'evaluator'; "):
        find_team((), None, config(kind="evaluator"))


@given(st.text())
def test_no_variable_leads_to_anything_but_a_refusal(text: str) -> None:
    with suppress(UsageError):
        assert find_team((), None, {"TF_CONFIG": text}) is None


def test_workers_that_accept_no_connection_are_known() -> None:
    with socket.create_server(("127.0.0.1", 0)) as there, socket.create_server(("127.0.0.1", 0)) as closed:
        ports = [each.getsockname()[1] for each in (there, closed)]
        closed.close()
        addresses = ("own.invalid:1", *(f"127.0.0.1:{port}" for port in ports), "nowhere.invalid:7")
        assert Team(addresses=addresses, index=0).silent() == [2, 3]


@pytest.fixture
def unheard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets workers not listen, which they do on all interfaces."""
    monkeypatch.setattr(Team, "_listening", nullcontext)


@pytest.mark.usefixtures("unheard")
def test_workers_are_waited_for(free_port: int) -> None:
    told: list[list[int]] = []
    with ExitStack() as late:

        def tell(missing: list[int]) -> None:
            told.append(missing)
            if len(told) == 1:
                late.enter_context(socket.create_server(("127.0.0.1", free_port)))

        Team(addresses=("own.invalid:1", f"127.0.0.1:{free_port}"), index=0, patience_s=60).gather(tell)
    assert told == [[1], []]


@pytest.mark.usefixtures("unheard")
def test_a_worker_that_does_not_come_is_named(free_port: int) -> None:
    team = Team(addresses=(f"127.0.0.1:{free_port}", "own.invalid:1"), index=1, patience_s=0.1)
    with pytest.raises(TeamError) as error:
        team.gather(lambda _: None)
    assert str(error.value) == (
        f"worker 0 (127.0.0.1:{free_port}) did not come within 0.1 s; start the same command there with its own "
        "--worker-index, and let its port through the firewall"
    )


def test_a_port_that_another_program_has_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(UsageError) as refusal:
            Team(addresses=(f"127.0.0.1:{port}", "b.invalid:1"), index=0).gather(lambda _: None)
    assert str(refusal.value) == (
        f"worker 0 (127.0.0.1:{port}) cannot listen at port {port} here: Address already in use; give it another port, "
        "in the command of every worker"
    )
