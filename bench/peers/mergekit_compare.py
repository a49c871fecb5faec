"""graft's merges against mergekit's, tensor by tensor: two or three models of
one shape, f32, the same parameters. Prints the largest difference, and how long
each took.

usage: mergekit_compare.py [MODEL OTHER...]   (default: tiny ones made here)
"""
import json
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy
from safetensors.numpy import load_file, save_file

from common import DATA, graft, table

# Name, transform with its parameters, mergekit's method, how many others.
METHODS = [
    ("linear", ["linear", "own=1", "theirs=1"], "linear", 2),
    ("linear 1:3", ["linear", "own=1", "theirs=3"], "linear13", 1),
    ("slerp t=0.5", ["slerp"], "slerp", 1),
    ("slerp t=0.3", ["slerp", "t=0.3"], "slerp3", 1),
    ("task_arithmetic", ["task_arithmetic", "scale=0.7"], "task", 2),
    ("ties d=0.2", ["ties"], "ties", 2),
    ("ties d=0.5", ["ties", "density=0.5", "scale=0.7"], "ties5", 2),
]


def config(kind, base, others):
    """mergekit's text of a merge."""
    models = [{"model": str(m)} for m in others]
    all_of = [{"model": str(base)}] + models
    if kind.startswith("linear"):
        for i, m in enumerate(all_of):
            m["parameters"] = {"weight": 3.0 if kind == "linear13" and i
                               else 1.0}
        c = {"merge_method": "linear", "models": all_of}
    elif kind.startswith("slerp"):
        c = {"merge_method": "slerp", "models": all_of,
             "base_model": str(base),
             "parameters": {"t": 0.3 if kind == "slerp3" else 0.5}}
    elif kind == "task":
        c = {"merge_method": "task_arithmetic", "base_model": str(base),
             "models": models, "parameters": {"weight": 1.0, "lambda": 0.7}}
    else:
        five = kind == "ties5"
        for m in models:
            m["parameters"] = {"density": 0.5 if five else 0.2, "weight": 1.0}
        c = {"merge_method": "ties", "base_model": str(base),
             "models": models,
             "parameters": {"normalize": True,
                            "lambda": 0.7 if five else 1.0}}
    return c | {"dtype": "float32", "tokenizer_source": None}


def mergekit(c, out, scratch):
    import yaml
    text = scratch / "merge.yml"
    text.write_text(yaml.safe_dump({k: v for k, v in c.items()
                                    if v is not None}))
    tool = pathlib.Path(sys.executable).with_name("mergekit-yaml")
    done = subprocess.run([str(tool), str(text), str(out), "--quiet"],
                          capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1])


def tensors(folder):
    found = {}
    for path in sorted(pathlib.Path(folder).glob("*.safetensors")):
        found |= load_file(path)
    return found


def noisy(source, out, seed):
    """A sibling of a model: its weights with some noise."""
    out.mkdir()
    c = json.loads((source / "config.json").read_text())
    (out / "config.json").write_text(json.dumps(c))
    draw = numpy.random.default_rng(seed)
    made = {k: (v + 0.3 * v.std() * draw.standard_normal(v.shape))
            .astype(v.dtype) for k, v in tensors(source).items()}
    save_file(made, out / "model.safetensors", metadata={"format": "pt"})
    return out


def compare(ours, theirs):
    """Largest difference and the largest in units of the last place."""
    most = ulps = 0.0
    if ours.keys() != theirs.keys():
        raise RuntimeError(f"other tensors: {ours.keys() ^ theirs.keys()}")
    for name, a in ours.items():
        b = theirs[name]
        off = numpy.abs(a.astype(numpy.float64) - b)
        most = max(most, off.max())
        scale = numpy.spacing(numpy.abs(b).max().astype(numpy.float32))
        ulps = max(ulps, off.max() / float(scale))
    return most, ulps


def main():
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        scratch = pathlib.Path(folder)
        if len(sys.argv) > 2:
            models = [pathlib.Path(p) for p in sys.argv[1:]]
        else:
            base = DATA / "hf_tiny" / "llama"
            models = [base] + [noisy(base, scratch / f"n{i}", i)
                               for i in (1, 2)]
        for i, (name, transform, kind, n) in enumerate(METHODS):
            others = models[1:1 + n]
            ours, theirs = scratch / f"ours{i}", scratch / f"theirs{i}"
            began = time.time()
            graft("apply", transform[0], models[0], "-o", ours,
                  *transform[1:],
                  *(a for m in others for a in ("--with", f"other={m}")))
            mid = time.time()
            mergekit(config(kind, models[0], others), theirs, scratch)
            end = time.time()
            most, ulps = compare(tensors(ours), tensors(theirs))
            rows.append([name, len(others) + 1, f"{most:.1e}", f"{ulps:.2g}",
                         f"{mid - began:.1f} s", f"{end - mid:.1f} s"])
            print(rows[-1], file=sys.stderr)
    table(["merge", "models", "largest difference",
           "in ulps of a tensor's largest", "graft", "mergekit"], rows)


if __name__ == "__main__":
    main()
