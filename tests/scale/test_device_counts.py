"""One, two, four and eight devices compute the same; a checkpoint moves between them."""

import json

import pytest
from scale import processes

from vireid_jax import methods

# Methods with other parts than their defaults: CAJ+'s term, DNS's plain baseline, DEEN on RegDB,
# MCJA with a soft rank that is not linear.
# a Vision Transformer, and PMT's second stage.
VARIANTS = {
  "caj, weak to strong": ("caj", {"weak_to_strong": {"weight": 1.0}}),
  "dns, strong": ("dns", methods.variants("dns")["strong"]),
  "deen, three stages": ("deen", {"num_stages": 3}),
  "mcja, sorted ranks": ("mcja", {"retrieval": {"strength": 0.05}}),
  "agw, vit_s16": ("agw", methods.variants("agw")["vit_s16"]),
  "pmt, in colour": ("pmt", {"gray_until": ""}),
}
CASES = {**{name: (name, {}) for name in methods.names()}, **VARIANTS}


def compare(name, options=None):
  arguments = (name, json.dumps(options or {}))
  *_, line = processes.call("on_device_counts.py", *arguments, devices=8).splitlines()
  return json.loads(line)


def check_numbers(found):
  assert found["dtypes"] == ["float64"] and found["largest_gradient"] > 1e-3
  assert set(found["differences"]) == {"2", "4", "8"}
  assert max(found["differences"].values()) < 1e-12


def test_a_toy_agrees_on_all_counts():
  check_numbers(compare("toys.linear"))


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_loss_gradients_and_collections_agree_and_only_sums_and_gathers_are_sent(case):
  found = compare(*CASES[case])
  check_numbers(found)
  sent = found["collectives"]
  assert sent["sums"] > 0 and sent["unwanted"] == []
  assert sent["gathers"].count("s32") <= found["columns"]  # labels, and modalities that are drawn


def test_a_checkpoint_of_four_devices_continues_on_one_and_on_eight(data_dir, tmp_path):
  *_, line = processes.call("continue_on_counts.py", data_dir, tmp_path, devices=8).splitlines()
  found = json.loads(line)
  assert found["differences"]["4"] == 0
  assert max(found["differences"].values()) < 1e-5
  assert max(found["mAP"].values()) - min(found["mAP"].values()) < 1e-3
