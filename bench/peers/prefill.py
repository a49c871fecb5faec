"""512 tokens of SmolLM2's shape in f32: transformers and graft in turn, in one run.

prefill.py GRAFT MODEL.gguf, from the environment of bench/setup-peers.
"""
import json
import subprocess
import sys
import time
from statistics import median

import torch
from transformers import LlamaConfig, LlamaForCausalLM

TOKENS, ROUNDS, THREADS = 512, 5, 2


def peer():
    config = LlamaConfig(
        hidden_size=576, intermediate_size=1536, num_hidden_layers=30,
        num_attention_heads=9, num_key_value_heads=3, vocab_size=49152,
        tie_word_embeddings=True)
    model = LlamaForCausalLM(config).eval()
    ids = torch.randint(0, 49152, (1, TOKENS))

    def run():
        with torch.no_grad():
            began = time.time()
            model(ids)
            return time.time() - began

    run()
    return run


def graft(program, model):
    out = subprocess.run(
        [program, "bench", "model", model, "--tokens", str(TOKENS),
         "--dtype", "f32", "--threads", str(THREADS), "--json"],
        check=True, capture_output=True, text=True).stdout
    return next(row["ms"] / 1e3 for row in json.loads(out)["rows"]
                if row["tokens"] == TOKENS)


def main():
    program, model = sys.argv[1:]
    torch.set_num_threads(THREADS)
    run = peer()
    theirs, ours = [], []
    for _ in range(ROUNDS):
        theirs.append(run())
        ours.append(graft(program, model))
    print("transformers:", *(f"{t:.3f}" for t in theirs), "s")
    print("graft:       ", *(f"{t:.3f}" for t in ours), "s")
    print(f"medians: {median(theirs) / median(ours):.2f}x")


main()
