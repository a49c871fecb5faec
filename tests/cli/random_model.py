"""random_model.py SEED DIR: a folder with a small random model as text, some
of it hostile. What is compared or ordered is made of small multiples of 1/8,
so that no rounding decides."""
import json
import os
import random
import struct
import sys


class Maker:
    def __init__(self, seed):
        self.r = random.Random(seed)
        self.lines = []
        self.n = 0
        self.D = self.r.choice([1, 2, 3, 4, 6, 8, 17, 33])
        self.V = self.r.choice([2, 3, 8, 16, 31])
        # name -> (dims, exact)
        self.values = {"x": (("T", "D"), True)}

    def fresh(self):
        self.n += 1
        return "v%d" % self.n

    def pick(self, dims=None, exact=False):
        names = [n for n, (d, e) in self.values.items()
                 if (dims is None or d == dims) and (e or not exact)]
        return self.r.choice(names) if names else None

    def put(self, text, dims, exact):
        name = self.fresh()
        self.lines.append("%s = %s" % (name, text))
        self.values[name] = (dims, exact)

    def some(self, good, odd):
        """One that fits, mostly."""
        return str(self.r.choice(odd if self.r.random() < 0.05 else good))

    # ---- statements ----

    def unary(self):
        a = self.pick()
        d, e = self.values[a]
        f, keeps = self.r.choice([
            ("tanh(%s)", 0), ("sigmoid(%s)", 0), ("silu(%s)", 0),
            ("gelu(%s)", 0), ("gelu_tanh(%s)", 0), ("softplus(%s)", 0),
            ("sin(%s)", 0), ("cos(%s)", 0), ("sqrt(abs(%s))", 0),
            ("exp(0 - abs(%s))", 0), ("log(1 + abs(%s))", 0),
            ("rsqrt(1 + abs(%s))", 0), ("cdf(%s)", 0),
            ("relu(%s)", 1), ("abs(%s)", 1), ("0 - %s", 1),
            ("stop(%s)", 1)])
        self.put(f % a, d, e and bool(keeps))

    def round(self):
        a = self.pick(exact=True)
        self.put("%s(%s)" % (self.r.choice(["floor", "ceil"]), a),
                 self.values[a][0], True)

    def binary(self):
        a = self.pick()
        d, e = self.values[a]
        b = self.pick(d) or a
        e = e and self.values[b][1]
        f, keeps = self.r.choice([
            ("%s + %s", 1), ("%s - %s", 1), ("%s * %s", 0),
            ("%s / (1 + abs(%s))", 0), ("minimum(%s, %s)", 1),
            ("maximum(%s, %s)", 1)])
        self.put(f % (a, b), d, e and bool(keeps))

    def number(self):
        a = self.pick()
        d, e = self.values[a]
        n = self.r.choice(["0", "1", "2", "0.5", "D", "V", "T", "D / 2",
                           "T / 2", "1 / 4"])
        self.put("%s %s %s" % (a, self.r.choice("+-"), n), d, e)

    def choice(self):
        a, b = self.pick(exact=True), None
        d = self.values[a][0]
        b, c = self.pick(d, True), self.pick(d)
        test = "%s %s %s" % (a, self.r.choice("< <= > >= == !=".split()), b)
        self.put("%s ? %s : %s" % (test, c, self.pick(d)), d,
                 all(self.values[x][1] for x in (c,)) and False)

    def along(self):
        a = self.pick(("T", "D"))
        f = self.r.choice(["softmax(%s, D)", "softmax(%s, T)",
                           "cumsum(%s, D)"])
        self.put(f % a, ("T", "D"), False)

    def rank(self):
        a = self.pick(("T", "D"), True)
        self.put("rank(%s, D)" % a, ("T", "D"), True)

    def reduce(self):
        a = self.pick(("T", "D"))
        e = self.values[a][1]
        f, d, keeps = self.r.choice([
            ("sum(%s, D)", ("T",), 1), ("max(%s, D)", ("T",), 1),
            ("mean(%s, D)", ("T",), 0), ("logsumexp(%s, D)", ("T",), 0),
            ("sum(%s, T)", ("D",), 1), ("max(%s, T)", ("D",), 1)])
        self.put(f % a, d, e and bool(keeps))

    def spread(self):
        a, b = self.pick(("T", "D")), self.pick(self.r.choice(
            [("T",), ("D",)]))
        if b:
            self.put("%s %s %s" % (a, self.r.choice("+-*"), b), ("T", "D"),
                     False)

    def matmul(self):
        a = self.pick(("T", "D"))
        self.put("(%s @ table) @ back" % a, ("T", "D"), False)

    def place(self):
        a = self.pick(("T", "D"))
        e = self.values[a][1]
        at, dim = self.r.choice([
            ("0", "D"), ("D - 1", "D"), ("0", "T"), ("T - 1", "T"),
            ("D", "D"), ("T", "T"), ("T - 2", "T"), ("0 - 1", "D"),
            ("2^40", "D"), ("1 / 2", "D")])
        self.put("%s[%s: %s]" % (a, dim, at),
                 ("T",) if dim == "D" else ("D",), e)

    def turned(self):
        a = self.pick(("T", "D"))
        at = self.some([i for i in range(1, self.D)] or ["D / 2"],
                       ["D / 2", "0", "D", "D + 1"])
        self.put("concat(%s[D: %s .. D], %s[D: 0 .. %s], over: D)"
                 % (a, at, a, at), ("T", "D"), self.values[a][1])

    def largest(self):
        a = self.pick(("T", "D"), True)
        k = self.some(["1", "D", (self.D + 1) // 2], ["D + 1", "0", "2"])
        i = self.fresh()
        name = self.fresh()
        self.lines.append("%s, %s = topk(%s, D, k: %s)" % (name, i, a, k))
        b = self.pick(("T", "D"))
        self.put("sum(%s[D: %s] * %s, k)" % (b, i, name), ("T",), False)

    def tokens(self):
        a = self.pick(("T", "D"), True)
        c = self.r.choice(["1", "2", "T", "T - 1", "ceil(T / 2)", "T + 1",
                           "3"])
        v, t = self.fresh(), self.fresh()
        self.lines.append("%s, %s = topk(sum(%s, D), over: T, c: %s)"
                          % (v, t, a, c))
        b = self.pick(("T", "D"))
        self.put("scatter(%s[T: %s], T: %s)" % (b, t, t), ("T", "D"), False)

    def parts(self):
        a = self.pick(("T", "D"))
        g = self.some([i for i in range(1, self.D + 1) if self.D % i == 0],
                      ["2", "3", "0"])
        s = self.fresh()
        self.lines.append("%s = split(%s, D, g: %s, e: D / %s)"
                          % (s, a, g, g))
        self.put("flatten(softmax(%s, e), e, g, to: D)" % s, ("T", "D"),
                 False)

    def loop(self):
        a = self.pick(("T", "D"))
        name = self.fresh()
        self.lines.append("%s = %s" % (name, a))
        self.lines.append("for i in %s { %s = tanh(%s + i * %s) }" % (
            self.r.choice(["0", "1", "2", "5", "D"]), name, name,
            self.pick(("T", "D"))))
        self.values[name] = (("T", "D"), False)

    def lookup(self):
        self.put("table[V: token] * %s" % self.r.choice(["1", "2", "0.5"]),
                 ("T", "D"), True)

    def statement(self):
        self.r.choice([
            self.unary, self.unary, self.binary, self.binary, self.number,
            self.choice, self.along, self.reduce, self.reduce, self.spread,
            self.spread, self.matmul, self.turned, self.largest, self.parts,
            self.loop, self.lookup, self.rank, self.round]
            + ([self.place, self.tokens] if self.r.random() < 0.3
               else []))()

    def text(self):
        for _ in range(self.r.randrange(1, 14)):
            self.statement()
        last = [n for n, (d, _) in self.values.items() if d == ("T", "D")]
        body = "".join("    %s\n" % s for s in self.lines)
        return ('module mix(D) {\n  weight w[D]\n'
                '  forward(x[T, D]) -> [T, D] { return x * w }\n}\n'
                'model own {\n  config "Own" {\n    D = D\n    V = V\n  }\n'
                '  weight table[V, D] as "table"\n'
                '  weight back[D, V] as "back"\n  mix: mix(D) as "mix"\n'
                '  forward(token[T]: V) -> [T, V] {\n'
                '    x = table[V: token]\n%s'
                '    return (mix(x) + %s) @ table\n  }\n}\n'
                % (body, " + ".join(last[-2:])))


def main(seed, folder):
    m = Maker(seed)
    text = m.text()
    os.makedirs(folder, exist_ok=True)
    with open(folder + "/model.graft", "w") as f:
        f.write(text)
    with open(folder + "/config.json", "w") as f:
        json.dump({"architectures": ["Own"], "D": m.D, "V": m.V}, f)
    n = m.V * m.D
    head = json.dumps({
        "table": {"dtype": "F32", "shape": [m.V, m.D],
                  "data_offsets": [0, 4 * n]},
        "back": {"dtype": "F32", "shape": [m.D, m.V],
                 "data_offsets": [4 * n, 8 * n]},
        "mix.w": {"dtype": "F32", "shape": [m.D],
                  "data_offsets": [8 * n, 8 * n + 4 * m.D]}}).encode()
    with open(folder + "/model.safetensors", "wb") as f:
        f.write(struct.pack("<Q", len(head)) + head + struct.pack(
            "<%df" % (2 * n + m.D),
            *[m.r.randrange(-8, 9) / 8 for _ in range(2 * n + m.D)]))
    print(",".join(str(m.r.randrange(m.V))
                   for _ in range(m.r.choice([1, 2, 3, 5, 9]))))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
