"""The page of ranked lists: complete in itself, and safe whatever files are called."""

import html.parser

import numpy as np
import trained_models

import vireid_jax
from vireid_jax.retrieval import page
from vireid_jax.retrieval.searcher import Ranking


class Reader(html.parser.HTMLParser):
  """Collects sources, alternative texts and scripts."""

  def __init__(self):
    super().__init__()
    self.sources, self.texts, self.scripts = [], [], 0

  def handle_starttag(self, tag, attributes):
    attributes = dict(attributes)
    self.scripts += tag == "script"
    if tag == "img":
      self.sources.append(attributes["src"])
      self.texts.append(attributes["alt"])


def write(tmp_path, names, *, most=50):
  """Ranks every picture of a folder for two queries and reads the page."""
  folder = tmp_path / "photos"
  files = trained_models.pictures(folder, len(names))
  for file, name in zip(files, names, strict=True):
    file.rename(folder / name)
  ranking = Ranking(
    np.tile(np.arange(len(names)), (2, 1)), np.full((2, len(names)), 0.5, np.float32)
  )
  queries = [("q1", folder / names[0]), ("q2", folder / names[-1])]
  options = {"title": "A & B", "facts": {"method": "<agw>"}, "most": most}
  page.write(
    tmp_path / "out.html", queries=queries, gallery=(names, folder), ranking=ranking, **options
  )
  reader = Reader()
  text = (tmp_path / "out.html").read_text(encoding="utf-8")
  reader.feed(text)
  return reader, text


def test_names_are_text_and_pictures_are_inside(tmp_path):
  names = ["<script>.png", 'quote".png', "um läut.png"]
  reader, text = write(tmp_path, names)
  assert reader.scripts == 0 and "&lt;agw&gt;" in text and "A &amp; B" in text
  assert reader.texts == ["query q1", *names, "query q2", *names]
  assert all(source.startswith("data:image/jpeg;base64,") for source in reader.sources)


def test_only_the_first_queries_are_shown_and_the_others_counted(tmp_path):
  reader, text = write(tmp_path, ["a.png", "b.png"], most=1)
  assert len(reader.sources) == 3 and "Not shown: 1 of 2 queries" in text


def test_a_picture_that_has_gone_leaves_a_gap(tmp_path):
  assert page.small_picture(tmp_path / "nowhere.png") == ""


def test_the_best_checkpoint_is_read_from_its_folder(tmp_path):
  trained_models.save(tmp_path / "run", "toys.linear", step=9)
  trained_models.save(tmp_path / "run" / "best", "toys.linear", step=4, seed=1)
  run, best = vireid_jax.load(tmp_path / "run"), vireid_jax.load(tmp_path / "run" / "best")
  assert (run.trained.step, best.trained.step) == (9, 4)
  assert run.fingerprint() != best.fingerprint()
