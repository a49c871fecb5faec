"""Do GGUF files that graft writes give llama.cpp the same tokens? Each tokenizer
as GGUF (by others), as the folder that graft makes of it, and as the GGUF file
that graft makes of that folder; texts of the shared tokenizer tests.

usage: tokens.py
"""
import pathlib
import tempfile

from common import CACHE, DATA, LlamaCpp, graft, table

MODELS = [
    ("SmolLM2 (BPE)", CACHE / "SmolLM2-135M-Instruct.Q4_1.gguf"),
    ("stories260K (SentencePiece)", DATA / "stories260K/stories260K.gguf"),
]


def texts():
    found = []
    for path in sorted((DATA / "tokenizers").glob("*.inp")):
        found += path.read_text().split("\n__ggml_vocab_test__\n")
    return found


def main():
    rows = []
    for name, source in MODELS:
        if not source.exists():
            rows.append([name, "not here", "", ""])
            continue
        with tempfile.TemporaryDirectory() as folder:
            scratch = pathlib.Path(folder)
            graft("apply", "copy", source, "-o", scratch / "folder",
                  "--dtype", "bf16")
            graft("apply", "copy", scratch / "folder", "-o",
                  scratch / "again.gguf")
            a, b = (LlamaCpp(f, vocab_only=True)
                    for f in (source, scratch / "again.gguf"))
            all_texts = texts()
            same = sum(a.tokens(t) == b.tokens(t) for t in all_texts)
            rows.append([name, len(all_texts), same,
                         "same" if a.ends() == b.ends()
                         else f"{a.ends()}, {b.ends()}"])
    table(["tokenizer", "texts", "same tokens", "begin, end"], rows)


if __name__ == "__main__":
    main()
