"""Models as transformers makes them with options that the tiny checkpoints of
the tests do not have: windows from a layer on, layers without experts, biases,
a sequential residual, YaRN, tied embeddings. graft's logits, compiled and
interpreted, against those of transformers.

usage: variants.py [NAME...]
"""
import pathlib
import sys
import tempfile

import numpy
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from common import graft, table, transformers_logits

BASE = {"hidden_size": 48, "intermediate_size": 80, "num_hidden_layers": 3,
        "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 128,
        "max_position_embeddings": 256}
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2,
           "moe_intermediate_size": 40}
WINDOW = {"use_sliding_window": True, "sliding_window": 5,
          "max_window_layers": 1}


def rope(kind, **more):
    return {"rope_parameters": {"rope_type": kind, "rope_theta": 1e4, **more}}


VARIANTS = {
    "sequential residual": ("gpt_neox", {"use_parallel_residual": False}),
    "q, k, v biases": ("stablelm", {
        "use_qkv_bias": True, **rope("default", partial_rotary_factor=0.5)}),
    "windows in Qwen2": ("qwen2", WINDOW),
    "windows in Qwen3": ("qwen3", {"head_dim": 16, **WINDOW}),
    "experts in every second layer": ("qwen2_moe", {
        "shared_expert_intermediate_size": 56, "decoder_sparse_step": 2,
        "norm_topk_prob": True, **EXPERTS}),
    "a layer without experts": ("qwen3_moe", {
        "head_dim": 16, "mlp_only_layers": [1], **EXPERTS}),
    "normed weights in OLMoE": ("olmoe", {"norm_topk_prob": True, **EXPERTS}),
    "a window in Mixtral": ("mixtral", {
        "num_local_experts": 4, "num_experts_per_tok": 2,
        "sliding_window": 5}),
    "tied embeddings": ("llama", {"tie_word_embeddings": True}),
    "YaRN": ("llama", rope("yarn", factor=4.0,
                           original_max_position_embeddings=16)),
}
IDS = list(range(3, 60, 2))


def make(kind, options, folder):
    """Random weights, large enough that each part shows in the logits."""
    torch.manual_seed(0)
    config = AutoConfig.for_model(kind, **{**BASE, **options})
    model = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for p in model.parameters():
            p.normal_(0, 0.3) if p.dim() > 1 else p.add_(
                0.1 * torch.randn_like(p))
    model.save_pretrained(folder)


def logits(folder, target):
    out = folder / "logits.npy"
    graft("logits", folder, "--ids", ",".join(map(str, IDS)), "-o", out,
          "--target", target)
    return numpy.load(out)


def main():
    rows = []
    for name in sys.argv[1:] or VARIANTS:
        with tempfile.TemporaryDirectory() as scratch:
            folder = pathlib.Path(scratch) / "model"
            make(*VARIANTS[name], folder)
            want, _, _ = transformers_logits(folder, IDS)
            off = [f"{abs(logits(folder, t) - want).max():.1e}"
                   for t in ("interp", "cpu")]
        rows.append((name, VARIANTS[name][0], f"{abs(want).max():.1f}", *off))
    table(("variant", "model", "largest logit", "interpreted", "compiled"),
          rows)


main()
