"""The page of ranked lists: complete in itself, and safe whatever files are called."""

import base64
import html.parser
import io
import os
import urllib.parse

import numpy as np
import trained_models
from PIL import Image

import vireid_jax
from vireid_jax.retrieval import page
from vireid_jax.retrieval.searcher import Ranking


class Reader(html.parser.HTMLParser):
  """Collects sources, alternative texts and scripts."""

  def __init__(self):
    super().__init__()
    self.sources, self.texts, self.scripts = [], [], 0
    self.links, self.anchors, self.lazy = [], [], []

  def handle_starttag(self, tag, attributes):
    attributes = dict(attributes)
    self.scripts += tag == "script"
    self.anchors += [attributes["id"]] if "id" in attributes else []
    if tag == "a":
      self.links.append(attributes["href"])
    if tag == "img":
      self.sources.append(attributes["src"])
      self.texts.append(attributes["alt"])
      self.lazy.append(attributes["loading"])


def write(tmp_path, names, *, most=50, size=(60, 30)):
  """Ranks every picture of a folder for two queries and reads the page."""
  folder = tmp_path / "photos"
  files = trained_models.pictures(folder, len(names), size=size)
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
  assert len(reader.sources) == 3
  assert text.index("Not shown: 1 of 2 queries") < text.index("<dl>") < text.index("<img")


def test_every_query_has_an_anchor_and_every_picture_a_link_to_its_file(tmp_path):
  names = ["a b#?.png", "javascript:alert(1).png"]
  reader, _ = write(tmp_path, names)
  assert reader.anchors == ["query-1", "query-2"] and set(reader.lazy) == {"lazy"}
  inside = [link for link in reader.links if link.startswith("#")]
  assert inside == ["#query-1", "#query-2", "#query-1", "#query-2"]
  files = {link for link in reader.links if not link.startswith("#")}
  assert files == {"photos/a%20b%23%3F.png", "photos/javascript%3Aalert%281%29.png"}
  assert all((tmp_path / urllib.parse.unquote(link)).is_file() for link in files)


def test_links_follow_the_page_out_of_linked_folders(tmp_path):
  (tmp_path / "deep" / "er").mkdir(parents=True)
  (tmp_path / "pages").symlink_to(tmp_path / "deep" / "er")
  link = page.link(tmp_path / "photos" / "a.png", tmp_path / "pages" / "search.html")
  assert link == "../../photos/a.png"
  assert page.link(tmp_path / os.fsdecode(b"\xff.png"), tmp_path / "search.html") == "%FF.png"


def test_names_wrap_after_separators():
  assert str(page.wrapped("site/cam_1/a-b.png")) == ("site/<wbr>cam_<wbr>1/<wbr>a-<wbr>b.<wbr>png")
  assert str(page.wrapped("<b>_&/x")) == "&lt;b&gt;_<wbr>&amp;/<wbr>x"


def test_short_lists_have_larger_pictures(tmp_path):
  def height(count):
    folder = tmp_path / str(count)
    folder.mkdir()
    sources = write(folder, [f"{row}.png" for row in range(count)], size=(400, 200))[0].sources
    data = base64.b64decode(sources[0].partition(",")[2])
    return Image.open(io.BytesIO(data)).size

  assert height(5) == (160, 320) and height(6) == (80, 160)


def test_an_empty_list_says_so(tmp_path):
  photo = trained_models.pictures(tmp_path, 1)[0]
  ranking = Ranking(np.array([[-1]]), np.array([[np.nan]], np.float32))
  page.write(
    tmp_path / "out.html",
    title="t",
    facts={},
    queries=[("q", photo)],
    gallery=(["0.png"], tmp_path),
    ranking=ranking,
  )
  text = (tmp_path / "out.html").read_text()
  assert "No picture of the gallery is listed" in text and "<li>" not in text


def test_a_picture_that_has_gone_leaves_a_gap(tmp_path):
  assert page.small_picture(tmp_path / "nowhere.png") == ""


def test_the_best_checkpoint_is_read_from_its_folder(tmp_path):
  trained_models.save(tmp_path / "run", "toys.linear", step=9)
  trained_models.save(tmp_path / "run" / "best", "toys.linear", step=4, seed=1)
  run, best = vireid_jax.load(tmp_path / "run"), vireid_jax.load(tmp_path / "run" / "best")
  assert (run.trained.step, best.trained.step) == (9, 4)
  assert run.fingerprint() != best.fingerprint()
