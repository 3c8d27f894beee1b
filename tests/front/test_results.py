"""Results as data frames, pictures and pages."""

from pathlib import Path

import pytest

import deep_dissect as dd
import studies
from dissect_core.progress import no_bar
from toy_detector import ToyDetector
from toy_split import Split


@pytest.fixture(scope="module")
def results(split: Split, tmp_path_factory: pytest.TempPathFactory) -> dd.Results:
    data = dd.CocoSplit(split.annotations, split.images)
    out = tmp_path_factory.mktemp("results") / "study"
    listener = dd.Listener(bar=no_bar, say=lambda _: None)
    return dd.run_study(studies.toy_spec(), ToyDetector(), data, out, listener=listener).measure(
        replicates=50
    )


def test_tables_are_data_frames(results: dd.Results) -> None:
    pandas = pytest.importorskip("pandas")
    for name in ("summary", "per_class", "errors", "repeats", "doses", "interactions"):
        assert isinstance(getattr(results, name), pandas.DataFrame), name
    assert results.summary["id"].tolist() == list(results.study.variants)
    assert results.interactions.empty
    assert results.doses.query("target == 'baseline' and metric == 'AP'")["mean"].iloc[0] == pytest.approx(
        results.summary["AP"].iloc[0]
    )


def test_tables_are_arrows_without_pandas(results: dd.Results, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    assert results.summary.column("id").to_pylist() == list(results.study.variants)
    assert results.per_class.num_rows > 0


def test_the_text_says_the_essence(results: dd.Results) -> None:
    text = repr(results)
    assert text.startswith("toy: 14 variants and the baseline, 8 images, ")
    assert "baseline AP " in text
    html = results._repr_html_()
    assert html.startswith("<div><b>toy: 14 variants")
    assert all(note in text for note in results.notes)


def test_names_in_html_are_text(results: dd.Results, split: Split, tmp_path: Path) -> None:
    data = dd.CocoSplit(split.annotations, split.images, limit=2)
    listener = dd.Listener(bar=no_bar, say=lambda _: None)
    spec = studies.toy_spec(name="<script>x</script>")
    done = dd.run_study(spec, ToyDetector(), data, tmp_path / "out", listener=listener).measure(replicates=0)
    assert "<script>" not in done._repr_html_()


def test_report_and_tables_are_written_into_the_study(results: dd.Results, tmp_path: Path) -> None:
    page = results.report()
    assert page == results.study.path / "report.html"
    assert {path.name for path in results.write()} >= {"summary.csv", "summary.parquet", "summary.json"}
    assert results.report(tmp_path / "elsewhere") == tmp_path / "elsewhere/report.html"
    assert (tmp_path / "elsewhere/report.html").read_bytes() == page.read_bytes()
    assert results.latex().startswith(r"\begin{tabular}") or results.latex().startswith("%")


def test_pictures_are_drawn_by_name(results: dd.Results) -> None:
    names = [figure.name for figure in results.figures()]
    assert results.plot().axes
    assert results.plot("AP50", names[-1]).axes
    with pytest.raises(dd.FrontDoorError, match="`name` must be one of"):
        results.plot(name="nothing")
    with pytest.raises(dd.FrontDoorError, match="`metric` must be one of AP, "):
        results.plot("mAP")


def test_settings_are_named(results: dd.Results) -> None:
    with pytest.raises(
        dd.FrontDoorError,
        match=r"no setting 'metric'. Near matches: 'metrics'. Its settings are: replicates, metrics",
    ):
        results.study.measure(metric="AP")
    one = results.study.measure(replicates=0, metrics=("AP50",))
    assert one.metrics == ("AP50",)
    assert "baseline AP50 " in repr(one)


def test_studies_are_compared_by_folder_study_or_results(results: dd.Results) -> None:
    found = dd.compare(results.study.path, results)
    assert found.same
    assert (found.table["AP_change"].abs() == 0).all()
    assert repr(found).splitlines()[0].startswith("A: toy, baseline AP ")
    assert dd.compare(results.study, str(results.study.path)).rows == found.rows
