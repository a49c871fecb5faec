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

    def __init__(self, path, vocab_only=False):
        import llama_cpp
        self.lib = lib = llama_cpp
        self.said = ["", ""]

        def note(level, text, user):
            line = text.decode(errors="replace").strip()
            if level >= 3 and line:
                self.said.append(line)
        self.note = lib.llama_log_callback(note)
        lib.llama_log_set(self.note, ctypes.c_void_p())
        lib.llama_backend_init()
        params = lib.llama_model_default_params()
        params.vocab_only = vocab_only
        self.model = lib.llama_model_load_from_file(str(path).encode(), params)
        if not self.model:
            raise RuntimeError("llama.cpp cannot load it: " + self.said[-2])
        self.vocab = lib.llama_model_get_vocab(self.model)

    def logits(self, ids):
        """[T, V]"""
        lib = self.lib
        params = lib.llama_context_default_params()
        params.n_ctx = params.n_batch = params.n_ubatch = 512
        params.type_k = params.type_v = 0  # GGML_TYPE_F32
        params.flash_attn_type = 0
        params.n_threads = params.n_threads_batch = os.cpu_count() or 1
        context = lib.llama_init_from_model(self.model, params)
        batch = lib.llama_batch_init(len(ids), 0, 1)
        batch.n_tokens = len(ids)
        for i, token in enumerate(ids):
            batch.token[i], batch.pos[i], batch.logits[i] = token, i, 1
            batch.n_seq_id[i], batch.seq_id[i][0] = 1, 0
        if lib.llama_decode(context, batch):
            raise RuntimeError("llama.cpp cannot run it")
        wide = lib.llama_vocab_n_tokens(self.vocab)
        rows = [numpy.ctypeslib.as_array(
            lib.llama_get_logits_ith(context, i), (wide,)).copy()
            for i in range(len(ids))]
        lib.llama_batch_free(batch)
        lib.llama_free(context)
        return numpy.stack(rows)

    def tokens(self, text):
        """Its ids, special tokens recognised."""
        raw = text.encode()
        room = (self.lib.llama_token * (len(raw) + 8))()
        n = self.lib.llama_tokenize(self.vocab, raw, len(raw), room,
                                    len(room), True, True)
        return list(room[:n])

    def ends(self):
        lib, v = self.lib, self.vocab
        return (lib.llama_vocab_bos(v), lib.llama_vocab_eos(v),
                lib.llama_vocab_get_add_bos(v))


def table(head, rows):
    """A Markdown table on stdout."""
    print("| " + " | ".join(head) + " |")
    print("|" + " --- |" * len(head))
    for row in rows:
        print("| " + " | ".join(str(cell) for cell in row) + " |")
    sys.stdout.flush()
