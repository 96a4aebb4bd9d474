"""Names of engines and of their indexes; imports nothing, as every search --help needs them."""

EXACT, FAISS = ENGINES = ("exact", "faiss")
FLAT, HNSW, IVFPQ, ON_DISK = KINDS = ("flat", "hnsw", "ivfpq", "ondisk")
