#!/usr/bin/env python3
"""train_golden MAKE_TINY: writes tests/train/data.jsonl and golden.json: a few
steps of small Llamas in float64, written from equations with PyTorch's
autograd and optimizers (pip install torch safetensors). tests/cli/train.py
holds `graft run` against them.

The models are make_tiny's, two layers, tied and not; sequences of a step are
run one by one, so that nothing is packed.
"""
import json
import math
import pathlib
import random
import subprocess
import sys
import tempfile

import torch
from safetensors.torch import load_file

HERE = pathlib.Path(__file__).resolve().parents[2] / "tests" / "train"
SHAPE = {"hidden": 16, "inner": 24, "layers": 2, "heads": 4, "kv_heads": 2}
V, H, G, HD = 268, 4, 2, 4
CASES = {
    "adamw": dict(tied=0, batch=4, steps=6, lr=0.01, schedule="linear",
                  warmup=2, optimizer="adamw", beta1=0.9, beta2=0.95,
                  eps=1e-8, decay=0.1, clip=0.5),
    "sgd": dict(tied=1, batch=4, steps=5, lr=0.05, schedule="cosine",
                warmup=1, optimizer="sgd", momentum=0.9, decay=0.0),
}


def make_data(n=7):
    rng = random.Random(3)
    rows = []
    for i in range(n):
        size = [1, 9, 5, 14, 2, 11, 7][i]
        ids = [rng.randrange(V) for _ in range(size)]
        cut = rng.randrange(size)
        labels = [-100 if t < cut and i != 3 else ids[t] for t in range(size)]
        rows.append({"ids": ids, "labels": labels})
    return rows


def norm(x, w):
    return x * torch.rsqrt((x * x).mean(-1, keepdim=True) + 1e-5) * w


def rope(x):
    T, half = x.shape[0], HD // 2
    f = 10000.0 ** (-torch.arange(half, dtype=torch.float64) / half)
    a = torch.arange(T, dtype=torch.float64)[:, None, None] * f
    x1, x2 = x[..., :half], x[..., half:]
    return torch.cat([x1 * a.cos() - x2 * a.sin(),
                      x2 * a.cos() + x1 * a.sin()], -1)


def logits(w, ids):
    x, T = w["model.embed_tokens.weight"][ids], len(ids)
    mask = torch.full((T, T), -math.inf, dtype=torch.float64).triu(1)
    for l in range(SHAPE["layers"]):
        p = f"model.layers.{l}."
        h = norm(x, w[p + "input_layernorm.weight"])
        q = rope((h @ w[p + "self_attn.q_proj.weight"].T).view(T, H, HD))
        k = rope((h @ w[p + "self_attn.k_proj.weight"].T).view(T, G, HD))
        v = (h @ w[p + "self_attn.v_proj.weight"].T).view(T, G, HD)
        k, v = (t.repeat_interleave(H // G, 1) for t in (k, v))
        s = torch.einsum("thd,shd->hts", q, k) / math.sqrt(HD) + mask
        a = torch.einsum("hts,shd->thd", s.softmax(-1), v).reshape(T, -1)
        x = x + a @ w[p + "self_attn.o_proj.weight"].T
        h = norm(x, w[p + "post_attention_layernorm.weight"])
        gate = torch.nn.functional.silu(h @ w[p + "mlp.gate_proj.weight"].T)
        up = h @ w[p + "mlp.up_proj.weight"].T
        x = x + (gate * up) @ w[p + "mlp.down_proj.weight"].T
    head = w.get("lm_head.weight", w["model.embed_tokens.weight"])
    return norm(x, w["model.norm.weight"]) @ head.T


def step_loss(w, rows):
    total, labelled = 0, 0
    for row in rows:
        y = logits(w, row["ids"]).log_softmax(-1)
        for t, label in enumerate(row["labels"][1:]):
            if label != -100:
                total, labelled = total - y[t, label], labelled + 1
    return total / labelled, labelled


def rate(o, s):
    if s < o["warmup"]:
        return o["lr"] * s / o["warmup"]
    p = (s - o["warmup"]) / (o["steps"] - o["warmup"])
    return o["lr"] * (1 - p if o["schedule"] == "linear" else
                      (1 + math.cos(math.pi * p)) / 2)


def optimizer(o, w):
    groups = [{"params": [t for t in w.values() if t.dim() >= 2],
               "weight_decay": o["decay"]},
              {"params": [t for t in w.values() if t.dim() < 2],
               "weight_decay": 0.0}]
    if o["optimizer"] == "sgd":
        return torch.optim.SGD(groups, lr=1, momentum=o["momentum"])
    return torch.optim.AdamW(groups, lr=1, betas=(o["beta1"], o["beta2"]),
                             eps=o["eps"])


def run(o, folder, rows):
    w = {k: v.double().requires_grad_()
         for k, v in load_file(f"{folder}/model.safetensors").items()}
    opt, history, gradients = optimizer(o, w), [], None
    per = -(-len(rows) // o["batch"])
    for s in range(o["steps"]):
        at = s % per * o["batch"]
        loss, labelled = step_loss(w, rows[at:at + o["batch"]])
        opt.zero_grad()
        loss.backward()
        total = math.sqrt(sum(float((t.grad ** 2).sum()) for t in w.values()))
        if gradients is None:
            gradients = {k: float(t.grad.norm()) for k, t in w.items()}
        if "clip" in o:
            for t in w.values():
                t.grad *= min(1, o["clip"] / (total + 1e-6))
        for g in opt.param_groups:
            g["lr"] = rate(o, s)
        opt.step()
        history.append({"loss": loss.item(), "grad_norm": total,
                        "lr": rate(o, s), "labelled": labelled})
    return {"options": o, "history": history, "first_gradients": gradients,
            "final_norms": {k: float(t.detach().norm())
                            for k, t in w.items()}}


def main():
    rows = make_data()
    (HERE / "data.jsonl").write_text(
        "".join(json.dumps(r) + "\n" for r in rows))
    out = {"shape": SHAPE, "cases": {}}
    with tempfile.TemporaryDirectory() as work:
        for name, o in CASES.items():
            folder = f"{work}/{name}"
            subprocess.run([sys.argv[1], folder, f"tied={o['tied']}"] +
                           [f"{k}={v}" for k, v in SHAPE.items()], check=True)
            out["cases"][name] = run(o, folder, rows)
    (HERE / "golden.json").write_text(json.dumps(out, indent=1) + "\n")


main()
