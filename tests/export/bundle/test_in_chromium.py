"""The web snippet in a real browser, from a server on this machine: golden pictures, and how it prepares any other."""

import io
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, expect

from export.bundle.build import Bundled
from export.bundle.contract import Contract
from export.bundle.snippets import render_snippets
from export.bundle.tolerances import TOLERANCES
from export.bundle.web import FILTERS
from export.verify import load_tflite
from models.data import prepare_picture
from models.data.decode import read_picture
from models.spec import FITS, Preprocessing
from tests.device_bench.report import chromium
from tests.device_bench.report.hostile import HOSTILE
from tests.export.bundle.contracts import make_contract
from tests.export.bundle.levels import LEVELS
from tests.export.bundle.pictures import PICTURES, write_digits, write_picture
from tests.export.bundle.website import NpmError, Visit, install_packages, put_up, served, visited

pytestmark = [
    pytest.mark.page,
    pytest.mark.skipif(chromium.PROGRAM is None, reason=chromium.WHY_NOT),
    # The first to ask for the bundle waits for its network's training.
    pytest.mark.timeout(900),
]

READY_MS = 60_000
WEB = "web/"
CLASSIFY = """async (module, pictures) => {
  const classifier = await (window.classifier ??= module.loadClassifier());
  const found = [];
  for (const picture of pictures) found.push(await classifier.classify(await (await fetch(picture)).blob()));
  return found;
}"""
PREPARE = """async (module, picture) => {
  const loaded = await module.loadPicture(await (await fetch(picture)).blob());
  return Array.from(module.fit(loaded));
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium.browser() as started:
        yield started


def web_files(contract: Contract) -> dict[str, str]:
    snippets = render_snippets(contract)
    return {file.removeprefix(WEB): text for file, text in snippets.items() if file.startswith(WEB)}


# With LiteRT.js


@pytest.fixture(scope="module")
def site(bundled: Bundled, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a developer makes of the bundle by the first lines of `classify.js`, one folder per precision."""
    folder, place = bundled.folder, tmp_path_factory.mktemp("site")
    snippets = sorted((folder / "snippets").glob("*/web"))
    try:
        packages = install_packages((snippets[0] / "package.json").read_text("utf-8"))
    except NpmError as error:
        pytest.skip(str(error))
    for web in snippets:
        precision = web.parent.name
        model = model_of(folder, precision)["file"]
        files = {file.name: file.read_text("utf-8") for file in web.iterdir()}
        given = {Path(model).name: (folder / model).read_bytes(), "labels.txt": (folder / "labels.txt").read_bytes()}
        put_up(place / precision, files, packages, **given)
        shutil.copytree(folder / "golden", place / precision / "golden")
    return place


def model_of(bundle: Path, precision: str) -> dict[str, Any]:
    models: list[dict[str, Any]] = json.loads((bundle / "manifest.json").read_text("utf-8"))["models"]
    return next(model for model in models if model["precision"] == precision)


def wait_until_ready(visit: Visit) -> None:
    expect(visit.page.locator("#status")).to_have_text("Ready.", timeout=READY_MS)


def assert_at_home(visit: Visit, address: str) -> None:
    """Nothing was thrown, asked for elsewhere, or refused by the page's policy."""
    assert visit.exceptions == []
    assert visit.violations == []
    assert [url for url in visit.requests if not url.startswith((address, "blob:", "data:"))] == []


@pytest.mark.parametrize("precision", ["int8", "float16"])
def test_the_golden_pictures_are_classified_as_the_manifest_says(
    precision: str, site: Path, bundled: Bundled, browser: Browser
) -> None:
    vectors = model_of(bundled.folder, precision)["golden"]["vectors"]
    # Another runtime on another processor, and grey levels that may differ by one.
    tolerance = TOLERANCES[precision].max_abs_error
    with served(site / precision) as address, visited(browser, address) as visit:
        wait_until_ready(visit)
        found = visit.call(CLASSIFY, [vector["image"] for vector in vectors])
        assert_at_home(visit, address)
    assert len(found) == len(vectors) >= 8
    for best, vector in zip(found, vectors, strict=True):
        assert [best[0][key] for key in ("index", "label")] == [vector["top5"][0][key] for key in ("index", "label")]
        theirs = {row["index"]: row["probability"] for row in best}
        for row in vector["top5"]:
            if row["index"] in theirs:
                assert theirs[row["index"]] == pytest.approx(row["probability"], abs=tolerance)


@pytest.mark.parametrize("precision", ["int8", "float16"])
def test_the_runtime_computes_the_golden_outputs_from_the_golden_inputs(
    precision: str, site: Path, bundled: Bundled, browser: Browser
) -> None:
    model = model_of(bundled.folder, precision)
    code = """async (module, {values, bytes}) => {
      const classifier = await module.loadClassifier();
      return Array.from(await classifier.run(bytes ? new Uint8Array(values) : new Float32Array(values)));
    }"""
    vector, output = model["golden"]["vectors"][3], model["output"]
    given, stored = (np.load(bundled.folder / vector[key]) for key in ("input", "output"))
    with served(site / precision) as address, visited(browser, address) as visit:
        values = {"values": given.ravel().tolist(), "bytes": given.dtype == np.uint8}
        found = visit.call(code, values)
    steps = output["zero_point"] or 0, output["scale"] or 1
    golden = (stored[0].astype(np.float64) - steps[0]) * steps[1]
    np.testing.assert_allclose(found, golden, atol=TOLERANCES[precision].max_abs_error)


def test_it_names_our_class_of_turned_transparent_and_grey_pictures(
    site: Path, bundled: Bundled, browser: Browser
) -> None:
    golden = sorted((bundled.folder / "golden/images").iterdir())
    (site / "int8/digits").mkdir()
    files = [path for picture in golden for path in write_digits(picture, site / "int8/digits")]
    predict = load_tflite(bundled.folder / model_of(bundled.folder, "int8")["file"], builtin_only=False)
    side = model_of(bundled.folder, "int8")["input"]["shape"][1]
    stretch = Preprocessing(mean=(127.5,) * 3, std=(127.5,) * 3)
    ours = [int(predict(prepare_picture(read_picture(path), stretch, side)[None])[0].argmax()) for path in files]
    with served(site / "int8") as address, visited(browser, address) as visit:
        found = visit.call(CLASSIFY, [f"digits/{path.name}" for path in files])
    assert len(files) == 5 * len(golden)
    assert [best[0]["index"] for best in found] == ours


def test_the_page_shows_a_chosen_picture_with_its_classes(site: Path, bundled: Bundled, browser: Browser) -> None:
    vector = model_of(bundled.folder, "int8")["golden"]["vectors"][0]
    with served(site / "int8") as address, visited(browser, address) as visit:
        wait_until_ready(visit)
        visit.page.set_input_files("#files", {"name": "broken.png", "mimeType": "image/png", "buffer": b"no picture"})
        expect(visit.page.locator("#status")).to_contain_text("broken.png: ")
        visit.page.set_input_files("#files", str(bundled.folder / vector["image"]))
        expect(visit.page.locator("figure")).to_have_count(1)
        rows = visit.page.locator("figure tr")
        assert rows.count() == 5
        best = vector["top5"][0]
        assert rows.first.locator("td").all_inner_texts() == [f"{100 * best['probability']:.1f} %", best["label"]]
        # The picture is shown, not only named.
        assert visit.page.evaluate("document.querySelector('figure img').naturalWidth") > 0
        assert_at_home(visit, address)


def test_hostile_class_names_are_shown_as_text(site: Path, bundled: Bundled, browser: Browser, tmp_path: Path) -> None:
    copied = tmp_path / "int8"
    shutil.copytree(site / "int8", copied, symlinks=True)
    names = [*(" ".join(name.encode("utf-8", "replace").decode().split()) for name in HOSTILE[:9]), "last"]
    (copied / "labels.txt").write_text("\n".join(names) + "\n", "utf-8")
    picture = model_of(bundled.folder, "int8")["golden"]["vectors"][0]["image"]
    with served(copied) as address, visited(browser, address) as visit:
        wait_until_ready(visit)
        title = visit.page.title()
        visit.page.set_input_files("#files", str(bundled.folder / picture))
        expect(visit.page.locator("figure")).to_have_count(1)
        shown = visit.page.evaluate("[...document.querySelectorAll('td:last-child')].map((cell) => cell.textContent)")
        assert len(shown) == 5
        assert set(shown) <= set(names)
        assert visit.page.title() == title
        assert visit.page.locator("figure img").count() == 1
        assert_at_home(visit, address)


def test_a_model_that_is_not_there_is_said(site: Path, browser: Browser, tmp_path: Path) -> None:
    copied = tmp_path / "int8"
    shutil.copytree(site / "int8", copied, symlinks=True)
    next(copied.glob("*.tflite")).unlink()
    with served(copied) as address, visited(browser, address) as visit:
        expect(visit.page.locator("#status")).to_contain_text("The model cannot be loaded: ", timeout=READY_MS)


# Without it: how pictures are prepared


@pytest.fixture(scope="module")
def no_runtime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package of the same name that only lets `classify.js` be imported."""
    packages = tmp_path_factory.mktemp("packages")
    core = packages / "@litertjs/core/dist"
    core.mkdir(parents=True)
    names = ("getGlobalLiteRtPromise", "loadAndCompile", "loadLiteRt", "Tensor")
    (core / "index.js").write_text("".join(f"export const {name} = undefined;\n" for name in names))
    return packages


def faults(contract: Contract, names: list[str], no_runtime: Path, tmp_path: Path, browser: Browser) -> list[str]:
    """Pictures that JavaScript prepares otherwise than we do."""
    put_up(tmp_path / "site", web_files(contract), no_runtime)
    files = [write_picture(tmp_path / "site", name) for name in names]
    found = []
    with served(tmp_path / "site") as address, visited(browser, address) as visit:
        for path in files:
            ours = prepare_picture(read_picture(path), contract.preprocessing, contract.side_px)
            theirs = np.array(visit.call(PREPARE, path.name)).reshape(ours.shape)
            found.append(LEVELS["javascript"].fault(path.name, theirs, ours))
        assert visit.violations == []
    return [fault for fault in found if fault is not None]


def test_any_picture_is_prepared_as_ours(no_runtime: Path, tmp_path: Path, browser: Browser) -> None:
    assert faults(make_contract(side_px=128), list(PICTURES), no_runtime, tmp_path, browser) == []


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("resize", FILTERS)
def test_every_filter_and_fit_is_ours(
    resize: str, fit: str, no_runtime: Path, tmp_path: Path, browser: Browser
) -> None:
    contract = make_contract("float32", fit, side_px=97)
    contract = replace(contract, preprocessing=replace(contract.preprocessing, resize=resize))
    assert faults(contract, ["odd.png", "small.png", "text.png"], no_runtime, tmp_path, browser) == []


def test_floats_are_normalised_as_the_contract_says(no_runtime: Path, tmp_path: Path, browser: Browser) -> None:
    contract = make_contract("float32", side_px=4)
    contract = replace(contract, preprocessing=replace(contract.preprocessing, mean=(10.0,) * 3, std=(50.0,) * 3))
    put_up(tmp_path / "site", web_files(contract), no_runtime)
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4), (10, 60, 210)).save(buffer, "PNG")
    (tmp_path / "site/x.png").write_bytes(buffer.getvalue())
    code = PREPARE.replace("module.fit", "module.toInput")
    with served(tmp_path / "site") as address, visited(browser, address) as visit:
        assert visit.call(code, "x.png") == [0, 1, 4] * 16


def test_the_page_can_reach_no_other_server(no_runtime: Path, tmp_path: Path, browser: Browser) -> None:
    put_up(tmp_path / "site", web_files(make_contract()), no_runtime)
    (tmp_path / "other").mkdir()
    code = (
        "async (module, url) => { try { await fetch(url, {mode: 'no-cors'}); return 'sent'; } catch { return 'no'; } }"
    )
    with (
        served(tmp_path / "site") as address,
        served(tmp_path / "other") as other,
        visited(browser, address) as visit,
    ):
        assert visit.call(code, address) == "sent"
        assert visit.call(code, other) == "no"
        assert len(visit.violations) >= 1
