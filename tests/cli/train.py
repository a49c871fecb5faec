#!/usr/bin/env python3
"""train PART GRAFT MAKE_TINY DATA: recipes run. PART golden holds runs in f64
against golden ones: two of our own (bench/peers/train_golden.py), and those of
DATA/train where it is there; stop kills runs and goes on with them."""
import json
import math
import os
import random
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

PART, GRAFT, MAKE_TINY, DATA = sys.argv[1:5]
HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ALL = os.environ.get("GRAFT_ALL") == "1"
count = failures = 0


def ok(name, verdict, why=""):
    global count, failures
    count += 1
    print(("ok" if verdict else "not ok"), count, "-", name, flush=True)
    if not verdict:
        failures += 1
        print("#  ", str(why)[:700].replace("\n", "\n#   "), flush=True)
    return verdict


def skip(name, why):
    global count
    count += 1
    print("ok", count, "# SKIP", name + ":", why, flush=True)


def graft(*args, **more):
    return subprocess.run([GRAFT, *map(str, args)], capture_output=True,
                          text=True, stdin=subprocess.DEVNULL, **more)


def load(*path):
    with open(os.path.join(*path)) as f:
        return json.load(f)


def log_of(out):
    with open(out + ".run/log.jsonl") as f:
        return [json.loads(line) for line in f]


def tensors(path):
    """Name to numbers (f32, f64) of a safetensors file or folder."""
    if os.path.isdir(path):
        path = os.path.join(path, "model.safetensors")
    with open(path, "rb") as f:
        size, = struct.unpack("<Q", f.read(8))
        head = json.loads(f.read(size))
        data = f.read()
    out = {}
    for name, t in head.items():
        if name == "__metadata__":
            continue
        kind = {"F32": "f", "F64": "d"}[t["dtype"]]
        a, b = t["data_offsets"]
        out[name] = struct.unpack(f"<{(b - a) // (4 if kind == 'f' else 8)}"
                                  f"{kind}", data[a:b])
    return out


def norm(x):
    return math.sqrt(math.fsum(v * v for v in x))


def off(a, b):
    return abs(a - b) / abs(b) if b else abs(a)


class Worst:
    """The largest difference seen, and where."""

    def __init__(self):
        self.at, self.where = 0, ""

    def see(self, value, where):
        if not value <= self.at:
            self.at, self.where = value, where

    def __str__(self):
        return f"{self.at:.2e} at {self.where}"


F64 = ("--target", "interp", "--dtype", "f64", "--quiet")


def run(work, name, recipe, base, data, *more):
    """Runs the recipe anew; its OUT, or None after a failed check."""
    out = os.path.join(work, name)
    for path in out, out + ".run":
        shutil.rmtree(path, ignore_errors=True)
    p = graft("run", recipe, f"base={base}", f"data={data}", f"out={out}",
              *more)
    if p.returncode:
        ok(name + ": runs", False, p.stderr)
        return None
    return out


def compare_history(worst, log, want):
    for a, b in zip(log, want):
        for key in ("loss", "grad_norm", "lr", "labelled", "tokens", "total"):
            if key in b:
                worst.see(off(a[key], b[key]), f"step {a['step']} {key}")
        for key, v in b.get("losses", {}).items():
            worst.see(off(a["losses"][key], v), f"step {a['step']} {key}")
    if len(log) != len(want):
        worst.see(math.inf, f"{len(log)} steps, not {len(want)}")


def compare_tensors(worst, found, want):
    """want: norm and first elements by name, or the norm alone."""
    for name, v in want.items():
        v = v if isinstance(v, dict) else {"norm": v, "first": []}
        if name not in found:
            worst.see(math.inf, f"{name} is missing")
            continue
        worst.see(abs(norm(found[name]) - v["norm"]) / (v["norm"] or 1),
                  name + "'s norm")
        for a, b in zip(found[name], v["first"]):
            worst.see(abs(a - b) / (v["norm"] or 1), name)


def check_usage(name, log, want):
    """How often each expert was chosen in the first step, by layer; of
    expert_choice tokens choose none."""
    if want.get("first_usage") and "expert_choice" not in name:
        ok(f"{name}: usage", log[0].get("usage") == want["first_usage"],
           f"{log[0].get('usage')} {want['first_usage']}")


def check_losses(work, name, recipe, base, data, want, near=1e-9):
    out = run(work, name, recipe, base, data, *F64)
    worst = Worst()
    if out:
        compare_history(worst, log_of(out), want["history"])
        ok(f"{name}: losses and norms", worst.at < near, worst)
    return out


def check_run(work, name, recipe, base, data, want, near=1e-9):
    out = check_losses(work, name, recipe, base, data, want, near)
    if not out:
        return
    check_usage(name, log_of(out), want)
    worst = Worst()
    compare_tensors(worst, tensors(out),
                    want.get("folded_weights") or want["final_weights"])
    ok(f"{name}: final weights, as f32 holds them", worst.at < max(near, 1e-7),
       worst)
    if "learned" in want:
        worst, found = Worst(), load(out, "learned.json")
        for key, v in want["learned"].items():
            for a, b in zip(found[key], v):
                worst.see(abs(a - b) / norm(v), key)
        ok(f"{name}: what was learned", worst.at < 1e-9, worst)
    file = os.path.join(work, "gradients.safetensors")
    if run(work, name, recipe, base, data, "--gradients", file, *F64):
        worst, found = Worst(), tensors(file)
        compare_tensors(worst, found, want["first_gradients"])
        ok(f"{name}: first gradients, of these and no others", worst.at < near
           and set(found) == set(want["first_gradients"]), worst)


RECIPE = """use llama
recipe r(base, data, out) {{
  sample = ids(data)
  m = load(base)
  train m on sample {{ {} }}
  save m to out
}}
"""


def options(o, *more):
    text = [f"batch {o['batch']}", f"steps {o['steps']}",
            f"lr {o['lr']} {o['schedule']}", f"warmup {o['warmup']}",
            f"optimizer {o['optimizer']}", f"decay {o['decay']}",
            "order given"]
    text += [f"{k} {o[k]}" for k in ("beta1", "beta2", "eps", "momentum",
                                     "clip") if k in o]
    return ", ".join([*text, *more])


def recipe_file(work, text):
    path = os.path.join(work, "recipe.graft")
    with open(path, "w") as f:
        f.write(text)
    return path + ":r"


def check_compiled(work, name, recipe, base, data, want):
    """The same in f32, compiled."""
    out = run(work, name, recipe, base, data, "--dtype", "f32", "--quiet")
    if not out:
        return
    losses, norms = Worst(), Worst()
    for a, b in zip(log_of(out), want["history"]):
        losses.see(off(a["loss"], b["loss"]), f"step {a['step']}")
        norms.see(off(a["grad_norm"], b["grad_norm"]), f"step {a['step']}")
    check_usage(name + ", compiled", log_of(out), want)
    ok(f"{name}: compiled, losses and norms", losses.at < 2e-5 and
       norms.at < 1e-4, f"{losses}; {norms}")


def own_goldens(work):
    golden = load(HERE, "train", "golden.json")
    data = os.path.join(HERE, "train", "data.jsonl")
    for name, want in golden["cases"].items():
        base = os.path.join(work, "base_" + name)
        shape = dict(golden["shape"], tied=want["options"]["tied"])
        subprocess.run([MAKE_TINY, base, *[f"{k}={v}" for k, v in
                                           shape.items()]], check=True)
        want["final_weights"] = want["final_norms"]
        recipe = recipe_file(work, RECIPE.format(options(want["options"])))
        check_run(work, "our golden " + name, recipe, base, data, want)
        check_compiled(work, "our golden " + name, recipe, base, data, want)


SOME = ("packed", "adafactor_dense", "xft_cv2", "xft_merge", "lora",
        "expert_choice")


def shared_goldens(work):
    folder = os.path.join(DATA, "train")
    if not os.path.isdir(folder):
        skip("golden training runs", f"no {folder}")
        return
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        if not os.path.exists(os.path.join(path, "golden.json")):
            continue
        if not ALL and name not in SOME:
            continue
        want = load(path, "golden.json")
        base = os.path.join(folder if want["base"].startswith("models")
                            else DATA, want["base"])
        for check in check_run, check_compiled:
            check(work, "golden " + name, path + "/train.graft:golden", base,
                  path + "/data.jsonl", want)


def hf_goldens(work):
    """Runs of transformers, whose norms, softmax and logits are f32."""
    for name in "llama", "mixtral":
        base = os.path.join(DATA, "hf_tiny", name)
        if not ALL or not os.path.isdir(base):
            skip(f"golden {name}", "GRAFT_ALL, and ../shared/data")
            continue
        want = load(base, "golden_train.json")
        data = os.path.join(work, name + ".jsonl")
        with open(data, "w") as f:
            for i, labels in zip(want["ids"], want["labels"]):
                f.write(json.dumps({"ids": i, "labels": labels}) + "\n")
        recipe = recipe_file(work, RECIPE.format(
            f"batch {len(want['ids'])}, steps 12, lr 2e-3 linear, warmup 3, "
            "optimizer adamw, beta1 0.9, beta2 0.95, eps 1e-8, decay 0.1 all, "
            "clip 1, order given"))
        # its Mixtral has an expert's gate and up as one tensor, unlike files
        check = check_run if name == "llama" else check_losses
        check(work, "hf_tiny " + name, recipe, base, data, want, 1e-6)
        check_compiled(work, "hf_tiny " + name, recipe, base, data, want)


def micro_batches(work):
    """However a step is cut: the same."""
    path = os.path.join(DATA, "train", "accumulate")
    if not os.path.isdir(path):
        skip("micro-batches", f"no {path}")
        return
    for folder in "accumulate", "packed":
        path = os.path.join(DATA, "train", folder)
        want = load(path, "golden.json")
        with open(path + "/train.graft") as f:
            text = f.read()
        for micro in 1, 16, 40, 100000:
            recipe = recipe_file(work, text.replace(
                "order given", f"order given, micro {micro}").replace(
                "recipe golden", "recipe r"))
            out = run(work, "cut", recipe, os.path.join(DATA, "train",
                                                        want["base"]),
                      path + "/data.jsonl", *F64)
            worst = Worst()
            if out:
                compare_history(worst, log_of(out), want["history"])
                ok(f"{folder}: micro {micro}", worst.at < 1e-9, worst)
            if ALL:
                check_compiled(work, f"{folder}: micro {micro}", recipe,
                               os.path.join(DATA, "train", want["base"]),
                               path + "/data.jsonl", want)


def golden(work):
    own_goldens(work)
    shared_goldens(work)
    hf_goldens(work)
    micro_batches(work)


# ---- stopped and gone on with ----

def tiny(work, name="tiny", **shape):
    """A small model's folder."""
    base = os.path.join(work, name)
    shape = dict(dict(hidden=16, inner=24, layers=2, heads=4, kv_heads=2),
                 **shape)
    subprocess.run([MAKE_TINY, base, *[f"{k}={v}" for k, v in shape.items()]],
                   check=True)
    return base


def write_ids(path, n=10, vocabulary=268, **more):
    rng = random.Random(7)
    with open(path, "w") as f:
        for _ in range(n):
            ids = [rng.randrange(vocabulary)
                   for _ in range(rng.randrange(2, 9))]
            f.write(json.dumps(dict({"ids": ids}, **more)) + "\n")
    return path


TWO_STAGES = """use xft
recipe r(base, data, out) {
  sample = ids(data)
  dense = load(base)
  moe = xft_noisy(dense, experts: 3, active: 2)
  train moe on sample {
    batch 3, steps 7, lr 0.01 cosine, warmup 1, clip 1, micro 20, checkpoint 2
  }
  merged = xft_merge(moe)
  train merged.mix on sample { batch 4, epochs 2, lr 0.05, checkpoint 1, seed 3 }
  save merged to out
}
"""


def bytes_of(folder):
    return {name: open(os.path.join(folder, name), "rb").read()
            for name in sorted(os.listdir(folder))}


TIMES = ("seconds", "tokens_per_second", "peak_mb")


def plain_log(out):
    return [{k: v for k, v in line.items() if k not in TIMES}
            for line in log_of(out)]


def same_run(out, want):
    """Why a finished run differs from an undisturbed one, or ""."""
    if not os.path.isdir(out):
        return "no folder"
    if bytes_of(out) != bytes_of(want):
        return "other bytes"
    if plain_log(out) != plain_log(want):
        return "another log"
    left = [f for f in os.listdir(os.path.dirname(out))
            if f.startswith(".") and "graft" in f]
    return f"left behind: {left}" if left else ""


def command(recipe, base, data, out, *more):
    return [GRAFT, "run", recipe, f"base={base}", f"data={data}",
            f"out={out}", "--target", "interp", "--quiet", *more]


def kill_once(args, after):
    """Runs and kills it after some seconds; True: it had ended before."""
    p = subprocess.Popen(args, stdout=subprocess.DEVNULL,
                         stderr=subprocess.DEVNULL)
    try:
        p.wait(after)
        return True
    except subprocess.TimeoutExpired:
        p.send_signal(signal.SIGKILL)
        p.wait()
        return False


def killed(work, recipe, base, data, want, whole):
    rng = random.Random(5)
    out, kills, wrong, rounds = os.path.join(work, "killed"), 0, [], 0
    while kills < (50 if ALL else 8):
        for path in out, out + ".run":
            shutil.rmtree(path, ignore_errors=True)
        rounds += 1
        args = command(recipe, base, data, out)
        while not kill_once(args, rng.random() * whole):
            kills += 1
        why = same_run(out, want)
        if why:
            wrong.append(f"round {rounds}: {why}")
    ok(f"killed {kills} times: the same folder, the same log", not wrong,
       wrong)


def limited(bytes_):
    resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_, bytes_))


def no_room(work, recipe, base, data, want):
    """A limit on the size of files: it fails, says so, and goes on later."""
    out, wrong, failed = os.path.join(work, "full"), [], 0
    for size in 10, 700, 3000, 9000, 20000, 40000, 80000, 120000:
        for path in out, out + ".run":
            shutil.rmtree(path, ignore_errors=True)
        args = command(recipe, base, data, out)
        p = subprocess.run(args, capture_output=True, text=True,
                           preexec_fn=lambda: limited(size))
        failed += p.returncode == 1
        if p.returncode not in (0, 1) or (p.returncode and not p.stderr):
            wrong.append(f"{size}: status {p.returncode}: {p.stderr}")
        p = subprocess.run(args, capture_output=True, text=True)
        why = same_run(out, want)
        if p.returncode or why:
            wrong.append(f"{size}: then {why} {p.stderr}")
    ok("files of limited size: it fails, and goes on", not wrong and failed > 3,
       wrong or failed)


def lines_of(path):
    try:
        with open(path) as f:
            return f.read().count("\n")
    except FileNotFoundError:
        return 0


def interrupted(work, recipe, base, data, want):
    """Ctrl-C while it trains, again and again, until it has ended."""
    out, said, p = os.path.join(work, "stopped"), 0, None
    args = command(recipe, base, data, out)
    while p is None or p.returncode == 1:
        before = lines_of(out + ".run/log.jsonl")
        p = subprocess.Popen(args, stderr=subprocess.PIPE, text=True)
        while p.poll() is None and \
                lines_of(out + ".run/log.jsonl") <= before + 1:
            time.sleep(0.002)
        p.send_signal(signal.SIGINT)
        _, err = p.communicate()
        if p.returncode == 1:
            said += "goes on" in err
    why = same_run(out, want)
    ok("Ctrl-C: it says how to go on, and goes on", said and not why and
       not p.returncode, f"{said} {why} {err}")


def changed(work, recipe, base, data, want):
    """Nothing else is gone on with."""
    out = os.path.join(work, "changed")
    args = command(recipe, base, data, out)
    subprocess.run(args, check=True)
    p = subprocess.run(args, capture_output=True, text=True)
    ok("a run that is done is not done again", p.returncode == 0 and
       not same_run(out, want), p.stderr)

    def refused(what, *words, more=()):
        p = subprocess.run([*args, *more], capture_output=True, text=True)
        ok(f"another {what} is refused", p.returncode == 1 and all(
            w in p.stderr for w in (*words, "--restart")), p.stderr)

    def edited(path, what, edit, *words):
        with open(path, "rb") as f:
            was = f.read()
        with open(path, "wb") as f:
            f.write(edit(was))
        refused(what, *words)
        with open(path, "wb") as f:
            f.write(was)

    edited(recipe[:-2], "recipe", lambda t: t.replace(b"0.01", b"0.02"),
           "recipe")
    edited(data, "data", lambda t: t + b'{"ids": [1, 2]}\n', data)
    edited(base + "/model.safetensors", "base",
           lambda t: t[:-1] + bytes([t[-1] ^ 1]), base)
    edited(out + ".run/run.json", "version",
           lambda t: t.replace(b'"version":\t"', b'"version":\t"0.0.'),
           "version")
    refused("dtype", "dtype", more=("--dtype", "f64"))
    edited(out + ".run/run.json", "damaged", lambda t: t[:40], "damaged")
    newest = sorted(os.listdir(out + ".run/1.moe"))[-1]
    shutil.rmtree(out)
    shutil.rmtree(out + ".run/1.moe/model")
    shutil.rmtree(out + ".run/2.merged/model")
    edited(out + f".run/1.moe/{newest}", "checkpoint",
           lambda t: t[:-20] + bytes(4) + t[-16:], "damaged")
    p = subprocess.run([*args, "--restart"], capture_output=True, text=True)
    ok("--restart begins anew", p.returncode == 0 and not same_run(out, want),
       p.stderr)
    os.mkdir(os.path.join(work, "mine.run"))
    with open(os.path.join(work, "mine.run", "letter"), "w") as f:
        f.write("dear")
    p = subprocess.run(command(recipe, base, data, os.path.join(
        work, "mine"), "--restart"), capture_output=True, text=True)
    ok("a folder that is no run's stays", p.returncode == 1 and "no run's" in
       p.stderr and os.listdir(os.path.join(work, "mine.run")) == ["letter"],
       p.stderr)
    os.mkdir(os.path.join(work, "there"))
    p = subprocess.run(command(recipe, base, data,
                               os.path.join(work, "there")),
                       capture_output=True, text=True)
    ok("OUT that is there is not written over", p.returncode == 1 and
       "there already" in p.stderr, p.stderr)


def two_at_once(work, recipe, base, data, want):
    out = os.path.join(work, "both")
    args = command(recipe, base, data, out)
    first = subprocess.Popen(args)
    while not os.path.exists(out + ".run/log.jsonl"):
        time.sleep(0.01)
    p = subprocess.run(args, capture_output=True, text=True)
    first.wait()
    ok("two runs on one OUT: the second is refused", p.returncode == 1 and
       "another run" in p.stderr and not same_run(out, want), p.stderr)


def stop(work):
    base, recipe = tiny(work), recipe_file(work, TWO_STAGES)
    data = write_ids(os.path.join(work, "data.jsonl"))
    want, began = os.path.join(work, "want"), time.time()
    p = subprocess.run(command(recipe, base, data, want),
                       capture_output=True, text=True)
    if not ok("a run of two stages", p.returncode == 0, p.stderr):
        return
    whole = time.time() - began
    steps = [(line["stage"], line["step"]) for line in log_of(want)]
    ok("the log has each step once", steps == [("1.moe", i) for i in range(7)]
       + [("2.merged", i) for i in range(6)], steps)
    kept = sorted(f for f in os.listdir(want + ".run/1.moe")
                  if f.endswith("ckpt"))
    ok("the last two checkpoints stay", kept == ["step-4.ckpt", "step-6.ckpt"],
       kept)
    killed(work, recipe, base, data, want, whole)
    no_room(work, recipe, base, data, want)
    interrupted(work, recipe, base, data, want)
    two_at_once(work, recipe, base, data, want)
    changed(work, recipe, base, data, want)


# ---- what is saved is what was trained ----

METHODS = {
    "dense": ("m = load(base)", "m", ""),
    "sparse upcycling": ("m = sparse_upcycling(load(base), E: 3, K: 2)", "m",
                         ""),
    "xft": ("m = xft(load(base), experts: 3, active: 2)", "m", ""),
    "experts alone": ("m = xft(load(base), experts: 3, active: 2)",
                      "m.expert", ""),
    "pesc": ("m = pesc(load(base), E: 3)", "m.adapter, m.router", ""),
    "lora": ("m = lora(load(base), R: 2)", "m.qa, m.qb, m.va, m.vb", ""),
    "averaged experts": ("m = sparse_upcycling(load(base), E: 3, K: 2)", "m",
                         "after step ewa_average(share: 0.3)"),
    "bf16": ("m = load(base, dtype: \"bf16\")", "m", "weights bf16"),
}
METHOD = """use xft
use pesc
use lora
use merge_experts
recipe r(base, data, out, steps = 2) {{
  sample = ids(data)
  {}
  train {} on sample {{
    batch 10, steps steps, lr 0.01, order given{}
  }}
  eval(m, sample)
  save m to out
}}
"""


def nll_of(out, action=1):
    with open(f"{out}.run/eval-{action}.json") as f:
        return json.load(f)["nll"]


def saved(work):
    """The loss that the third step begins with is the one that `eval` finds
    for the model that two steps have saved, in the run and as a folder."""
    base = tiny(work)
    data = write_ids(os.path.join(work, "data.jsonl"))
    for name, (made, trains, more) in METHODS.items():
        recipe = recipe_file(work, METHOD.format(made, trains,
                                                 more and "\n    " + more))
        within = 0.02 if name == "bf16" else 2e-6
        two, three = (run(work, f"{name} {n}", recipe, base, data,
                          f"steps={n}", "--quiet") for n in (2, 3))
        if not two or not three:
            continue
        log = log_of(three)
        p = graft("eval", two, "--data", data, "--json", "--quiet")
        alone = json.loads(p.stdout)["nll"] if p.returncode == 0 else math.inf
        ok(f"{name}: saved as trained", off(nll_of(two), log[2]["loss"]) <
           within and off(alone, log[2]["loss"]) < within,
           f"{nll_of(two)}, {alone}, {log[2]['loss']} {p.stderr}")
        with open(three + ".run/report.html") as f:
            page = f.read()
        ok(f"{name}: a page with its charts", page.count("<svg") >= 3 and
           ("by expert" in page) == ("usage" in log[0]), log[0])
        ok(f"{name}: it learns", log[2]["loss"] < log[0]["loss"] - 1e-3,
           [line["loss"] for line in log])


# ---- the library's recipes ----

def pairs(path, n=40):
    with open(path, "w") as f:
        for i in range(n):
            f.write(json.dumps({"instruction": f"Add {i % 5} to x.",
                                "output": f"x + {i % 5}"}) + "\n")
    return path


FEW = ["batch=8", "epochs=1", "warmup=1"]
EXPERTS = [*FEW, "experts=3", "active=2", "held=0.2"]
MIXING = [*EXPERTS, "mix_warmup=1"]
LIBRARY = {  # arguments, how many evals
    "sft": ([*FEW, "held=0.2"], 1),
    "sparse": (EXPERTS, 1),
    "xft": (["mix_warmup=1", *EXPERTS[:-1]], 0),
    "xft_paper": (MIXING, 2),
    "xft_without_norm": (EXPERTS, 1),
    "xft_without_shared": (EXPERTS, 1),
    "xft_init": (EXPERTS, 1),
    "xft_free": (MIXING, 1),
    "xft_soup": (EXPERTS, 1),
    "xft_rates": (EXPERTS, 5),
    "xft_table": ([*EXPERTS, "dense_epochs=2"], 9),
    "pesc_lora": ([*EXPERTS, "rank=2"], 1),
}
DENSE = {"sft", "xft", "xft_paper", "xft_init", "xft_free", "xft_soup",
         "xft_rates", "xft_table"}


def recipes(work):
    """Each runs by its name, learns, and gives what it says."""
    base = tiny(work)
    data = pairs(os.path.join(work, "pairs.jsonl"))
    p = graft("list", "--json")
    there = {r["name"] for r in json.loads(p.stdout)["recipes"]}
    ok("graft list has them", set(LIBRARY) <= there, there)
    for name, (args, evals) in LIBRARY.items():
        out = os.path.join(work, name)
        p = graft("run", name, f"base={base}", f"data={data}", f"out={out}",
                  "--quiet", *args, *([] if ALL else ["--target", "interp"]))
        if not ok(f"{name} runs", p.returncode == 0, p.stderr):
            continue
        found = [f for f in os.listdir(out + ".run") if
                 f.startswith("eval-")]
        ok(f"{name}: what is measured", len(found) == evals and all(
            math.isfinite(load(out + ".run", f)["nll"]) for f in found) and
           ("\nmodel " in p.stdout) == (evals > 1), p.stdout)
        names = set(tensors(out))
        ok(f"{name}: what is saved", (names == set(tensors(base))) ==
           (name in DENSE), sorted(names)[:9])
    with open(os.path.join(HERE, "..", "stdlib", "recipes.graft")) as f:
        long = [r for r in f.read().split("\nrecipe ")[1:]
                if r[:r.index("\n}")].count("\n") > 24]
    ok("each has under 25 lines", not long, long)


# ---- the log, the report ----

def logged(work):
    """Usage and the shared expert's weight, every 10 steps: as `graft trace`
    finds them on the same tokens in the model as it was then."""
    base = tiny(work, layers=3)
    data = write_ids(os.path.join(work, "data.jsonl"))
    recipe = recipe_file(work, METHOD.format(
        "m = xft(load(base), experts: 4, active: 3)", "m", ", warmup 1"))
    begun, out = (run(work, f"log{n}", recipe, base, data, f"steps={n}",
                      "--quiet") for n in (1, 21))
    if not begun or not out:
        return
    log = log_of(out)
    some = [line["step"] for line in log if "usage" in line]
    ok("usage every 10 steps", some == [0, 10, 20] and
       all(("shared" in line) == ("usage" in line) for line in log), some)
    p = graft("trace", begun, data, "--json", "--quiet")
    t = json.loads(p.stdout)["traces"][0]
    r, worst = t["routes"][0], Worst()
    for layer in range(3):
        weights = 0
        for e in range(3):
            share = r["share"][layer][e]
            worst.see(abs(log[0]["usage"][layer][e] - share * t["tokens"]),
                      f"usage of {layer}, {e}")
            weights += share * r["weight"][layer][e]
        worst.see(abs(log[0]["shared"][layer] - (1 - weights)),
                  f"shared weight of {layer}")
    ok("usage and shared weight as traced", worst.at < 1e-5, worst)


# ---- known beforehand ----

def refused(work, name, text, *words, more=()):
    """Nothing is begun, and what is wrong is said."""
    base, data = os.path.join(work, "tiny"), os.path.join(work, "data.jsonl")
    out = os.path.join(work, "refused")
    recipe = recipe_file(work, text)
    p = graft("run", recipe, f"base={base}", f"data={data}", f"out={out}",
              *more)
    left = [x for x in (out, out + ".run") if os.path.exists(x)]
    ok(f"{name}: said before it begins", p.returncode == 1 and not left and
       all(w in p.stderr for w in words), f"{p.returncode} {left} {p.stderr}")


def documented():
    """Each option of `train` stands in docs/training.md."""
    with open(os.path.join(HERE, "..", "docs", "training.md")) as f:
        text = f.read()
    help_ = graft("run", "--help").stdout.split("Options of `train`")[1]
    names = [line.split(":")[0].strip() for line in help_.splitlines()
             if line.startswith("  ") and ": " in line]
    missing = [n for n in names if f"`{n}" not in text]
    ok("docs/training.md has each option", len(names) > 20 and not missing,
       missing or names)


def ahead(work):
    documented()
    base = tiny(work)
    data = write_ids(os.path.join(work, "data.jsonl"))
    body = "use llama\nrecipe r(base, data, out) {{\n{}\n}}\n"
    stage = "m = load(base)\ntrain m on ids(data) {{ batch 4, steps 2{} }}\n"
    save = "save m to out\n"
    whole = body.format(stage.format("") + save)
    recipe, out = recipe_file(work, whole), os.path.join(work, "dry")
    p = graft("run", recipe, f"base={base}", f"data={data}", f"out={out}",
              "--dry")
    ok("--dry tells and does nothing", p.returncode == 0 and "memory:" in
       p.stdout and "\u00ab" in p.stdout and "save m to" in p.stdout and
       not os.path.exists(out) and not os.path.exists(out + ".run"),
       p.stdout + p.stderr)
    for more, word in ((", teacher load(base)", "teacher"),
                       (", teacher load(base), mix 0.5", "teacher")):
        refused(work, word, body.format(stage.format(more) + save), word,
                "cannot be run yet")
    refused(work, "observe", body.format(stage.format("") +
                                         "observe m on ids(data)\n" + save),
            "observe")
    refused(work, "a later stage's data", body.format(
        stage.format("") + "train m on ids(\"none.jsonl\") { batch 1, steps "
        "1 }\n" + save), "none.jsonl")
    refused(work, "a later stage's part", body.format(
        stage.format("") + "train m.nothing on ids(data) { batch 1, steps 1 }"
        "\n" + save), "nothing")
    refused(work, "a later model", body.format(
        stage.format("") + "eval(load(\"nowhere\"), ids(data))\n" + save),
        "nowhere")
    refused(work, "a folder for the result", body.format(
        stage.format("") + "save m to \"no/such/place\"\n" + save),
        "no/such")
    os.makedirs(os.path.join(work, "taken"), exist_ok=True)
    refused(work, "a result that is there", body.format(
        stage.format("") + f"save m to \"{work}/taken\"\n" + save), "taken")


# ---- draws ----

DRAWN = """use llama
module drawn(D, F) {{
  inner: swiglu(D, F)
  forward(x[T, D]) -> [T, D] {{
    y = inner(x)
    return training ? dropout(y, 0.3) + 0.1 * gaussian(D, T) : y
  }}
}}
transform draw() {{
  match ffn: swiglu(D, F)
  replace with drawn(D, F) {{
    inner = ffn
  }}
}}
recipe r(base, data, out) {{
  m = draw(load(base))
  train m on ids(data) {{
    batch 4, steps 3, lr 0.01, order given, micro {}, seed {}
  }}
  save m to out
}}
"""


def draws(work):
    """What is drawn is of the seed, the step and the token, on either target
    and however a step is cut."""
    base = tiny(work)
    data = write_ids(os.path.join(work, "data.jsonl"), 12)
    losses = {}
    for target, micro, seed in ((F64, 1, 1), (F64, 16, 1), (F64, 10000, 1),
                                (F64, 16, 2), (("--quiet",), 1, 1),
                                (("--quiet",), 16, 1)):
        recipe = recipe_file(work, DRAWN.format(micro, seed))
        out = run(work, "drawn", recipe, base, data, *target)
        if not out:
            return
        name = "f64" if target == F64 else "compiled"
        losses[name, micro, seed] = [x["loss"] for x in log_of(out)]
    want = losses["f64", 10000, 1]
    for (target, micro, seed), found in losses.items():
        near = 1e-9 if target == "f64" else 2e-5
        worst = max(off(a, b) for a, b in zip(found, want))
        if seed == 1:
            ok(f"draws: {target} micro {micro}", worst < near, worst)
        else:
            ok("draws: another seed draws others", worst > 1e-4, worst)


PARTS = {"golden": golden, "draws": draws, "stop": stop, "saved": saved,
         "ahead": ahead, "logged": logged, "recipes": recipes}
with tempfile.TemporaryDirectory() as folder:
    PARTS[PART](folder)
print(f"1..{count}")
sys.exit(failures > 0)
