/* The language as its document states it: dims, types, modules, names; each
 * claim tried on numbers. */
#include "tests/language_kit.h"

static void precedence(void **state)
{
    (void)state;
    is("-2 ^ 2 + 0 * sum(x)", -4);
    is("2 ^ 3 ^ 2 + 0 * sum(x)", 512);
    is("2 ^ -1 + 0 * sum(x)", 0.5);
    is("1 + 2 * 3 % 4 + 0 * sum(x)", 3);
    is("7 - 2 - 1 + 0 * sum(x)", 4);
    is("8 / 4 / 2 + 0 * sum(x)", 1);
    is("(not 1 > 2 and 2 > 1 ? 5 : 6) + 0 * sum(x)", 5);
    is("(1 > 2 ? 1 : 2 > 3 ? 2 : 3) + 0 * sum(x)", 3);
    is("(1 > 2 or 2 == 2 ? 1 : 0) + 0 * sum(x)", 1);
    same("[T, D]", "-x ^ 2", "-(x * x)");
    same("[T, D]", "x - a + a", "x");
    same("[T, D]", "x ^ 3", "x * x * x");
}

static void lines(void **state)
{
    (void)state;
    same("[T, D]", "y = x +\n    x; return y", "2 * x");
    same("[T, D]", "y = (x\n    + x)\n    return y", "2 * x");
    same("[T, D]", "y = maximum(x,\n    a)\n    return y", "maximum(x, a)");
    same("[T, D]", "# a comment\n    return x # another", "x");
}

static void nearest_names(void **state)
{
    (void)state;
    same("[T, D]", "a = x; return a + a", "2 * x"); /* hides the weight */
    same("[T, D]", "net = x; return net", "x"); /* hides the part */
    same("[T, D]", "K = x; return K * 2", "2 * x"); /* the parameter */
    same("[T, D]", "silu = x; return silu", "x"); /* the function */
    same("[T, D]", "silu = 2; return silu(x) * silu", "2 * silu(x)");
    same("[T, D]", "x = x + x; x = x * 3; return x", "6 * x");
    fine("module soft(D) {\n  weight w[D]\n"
         "  forward(x[.., D]) -> [.., D] { return x * w }\n}\n"
         "module m(D) {\n  softmax: soft(D)\n"
         "  forward(x[T, D]) -> [T, D] { return softmax(x) }\n}\n");
    fine("module m(D, step) {\n  weight w[D]\n"
         "  forward(x[T, D]) -> [T, D] { return x * w }\n}\n"
         "module n(D) {\n  for: m(D, step: 2)\n"
         "  forward(x[T, D]) -> [T, D] { loss = x; return x }\n}\n");
}

static void elementwise_by_name(void **state)
{
    (void)state;
    same("[T, D]", "x * a", "a * x");
    same("[T, D]", "sum(x, D) * x", "x * sum(x, D)");
    same("[D, T]", "order = x; return order", "x"); /* as promised */
    same("[T, E, F]", "(x @ stack) * f * sum(x, D)",
         "sum(x, D) * (f * (x @ stack))");
    bad("[T, D]", "x + f", "`+` needs one side to have all dims of the other");
    bad("[D, F]", "a * f", "got [D] and [F]");
}

static void matmul(void **state)
{
    (void)state;
    same("[T]", "(x @ gate)[F: 1]", "sum(x * gate[F: 1], D)");
    same("[T, E, F]", "x @ stack", "(x @ stack) * 1");
    same("[T]", "((x @ q) @ o)[D: 1]", "sum((x @ q) * o[D: 1], H, hd)");
    same("[]", "sum(x @ a)", "sum(x * a)"); /* a vector */
    same("[T]", "x @ a", "sum(x * a, D)");
    same("[T]", "x @ x[T: 0]", "sum(x * x[T: 0], D)");
    same("[E, c, F]", "x[T: t] @ stack", "expert = x[T: t]; return expert @"
         " stack"); /* E is matched, [E, c, D] with [E, F, D] */
    bad("[T]", "x @ f", "`@` sums over the dims that both sides end with");
}

static void reductions(void **state)
{
    (void)state;
    same("[]", "sum(x)", "sum(sum(x, D), T)");
    same("[]", "sum(x, T, D)", "sum(x)");
    same("[]", "mean(x)", "sum(x) / (T * D)");
    same("[T]", "mean(x, D)", "sum(x, D) / D");
    same("[D]", "max(x, T)", "-(max(-(-x), T) * -1)");
    same("[T]", "norm(x, D)", "sqrt(sum(x * x, D))");
    same("[T]", "logsumexp(x, D)", "log(sum(exp(x), D))");
    same("[T, D]", "softmax(x, D)", "exp(x) / sum(exp(x), D)");
    same("[T, D]", "softmax(x, T, D)", "exp(x) / sum(exp(x))");
    same("[T, D]", "maximum(x, 0)", "relu(x)");
    same("[T, D]", "minimum(x, a)", "-maximum(-x, -a)");
    same("[T, D]", "clamp(x, -1, 1)", "minimum(maximum(x, -1), 1)");
    same("[T]", "dot(x, a, D)", "sum(x * a, D)");
    same("[]", "size(E) * sum(x)", "E * sum(x)");
    bad("[T]", "sum(x, F)", "sum over F, but this is [T, D]");
    bad("[T]", "sum(x, Q)", "no dim `Q` here");
    bad("[T]", "sum(v, K)", "no dim K in [T, k]; K is a size, the dim is k");
}

static void topk(void **state)
{
    (void)state;
    same("[T]", "v[k: 0]", "max(s, E)");
    same("[T, k]", "v", "s[E: i]");
    same("[T]", "max(v, k)", "v[k: 0]"); /* largest first */
    same("[T]", "u, j = topk(s, n: E); return sum(u, n)", "sum(s, E)");
    same("[E, c]", "b", "s[T: t]"); /* over T: [E, c] */
    same("[E]", "b[c: 0]", "max(s, T)");
    /* of equals the lower index first */
    same("[T]", "u, j = topk(0 * s, n: 2); return f32(j[n: 0]) + f32(j[n: 1])",
         "0 * sum(s, E) + 1");
}

static void indices(void **state)
{
    (void)state;
    same("[T, D]", "table[V: word]", "y = table[V: word]; return y");
    same("[D]", "x[T: 0]", "x[T: 1 - 1]");
    same("[E, c, D]", "x[T: t]", "x[T: t]"); /* t's dims in T's place */
    same("[T]", "scatter(b, T: t)", "scatter(b * 1, T: t)");
    same("[]", "sum(scatter(b, T: t))", "sum(b)"); /* adds up */
    same("[]", "sum(scatter(x[T: t], T: t) * 0) + sum(scatter(b * 0 + 1,"
         " T: t))", "3 * E + 0 * sum(x)"); /* E of 3 tokens each */
    same("[T, E]", "count(i, E)", "count(i, E) * 1");
    is("sum(count(i, E)) + 0 * sum(x)", TOKENS * 2);
    bad("[T, D]", "table[V: pick]", "`V:` wants an index of V");
    bad("[T, D]", "table[word]", "an index names its dim");
    bad("[T, k]", "v * i", "an index of E is no number");
    bad("[T, D]", "x[E: pick]", "no dim `E` in [T, D]");
}

static void parameters(void **state)
{
    (void)state;
    const char *shares =
        "module n(D, F) {\n  weight w[F, D]\n"
        "  forward(x[.., D]) -> [.., F] { return x @ w }\n}\n"
        "module m(D = 3, F = 4) {\n  a: n(D, F)\n  b: n(D, %s)\n"
        "  forward(x[T, D]) -> [T] { return sum(a(x) * b(x)) + 0 * "
        "sum(x, D) }\n}\n";
    char text[1024];
    snprintf(text, sizeof text, shares, "F");
    fine(text);
    snprintf(text, sizeof text, shares, "4"); /* a dim of its own */
    wrong(text, "their `F` are two dims");
    snprintf(text, sizeof text, shares, "2 * F"); /* so is a formula's */
    wrong(text, "their `F` are two dims");
}

static void leading_dims(void **state)
{
    (void)state;
    same("[T, D]", "net(x)", "y = net(x); return y");
    same("[E, c, D]", "net(x[T: t])", "y = net(x); return y[T: t]");
    same("[D]", "net(a)", "net(a * 1)");
    wrong("module n(D, F) {\n  weight w[F, D]\n"
          "  forward(x[.., D]) -> [.., F] { return x @ w }\n}\n"
          "module m(D, F) {\n  weight g[F, D]\n  n: n(D, F)\n"
          "  forward(x[T, D]) -> [T, F] { return x @ g * sum(n(g)) }\n}\n",
          "`..` cannot be F, a dim of its own");
}

static void sizes(void **state)
{
    (void)state;
    is("F / 4 + 0 * sum(x)", 0.5); /* real outside of dims */
    is("ceil(T / 3) + 0 * sum(x)", 2);
    is("minimum(K + 1, E) + 0 * sum(x)", 3);
    is("T * 1.5 + 0 * sum(x)", 6);
    fine("module m(D, H, hd = D / H) {\n  weight q[H, hd, D]\n"
         "  forward(x[T, D]) -> [T, H, hd] { return x @ q }\n}\n");
    wrong("module n(D, H, hd = D / H) {\n  weight q[H, hd, D]\n"
          "  forward(x[T, D]) -> [T, H, hd] { return x @ q }\n}\n"
          "module m(F) {\n  n: n(10, 4)\n  weight w[F]\n"
          "  forward(x[T, F]) -> [T, F] { return x * w }\n}\n",
          "hd = 2.5");
}

static void arrays(void **state)
{
    (void)state;
    same("[T, E, D]", "expert(x)", "y = expert(x); return y * 1");
    same("[T, k, D]", "expert[i](x)", "y = expert(x); return y[E: i]");
    same("[T, D]", "expert[pick](x)", "y = expert(x); return y[E: pick]");
    same("[T, D]", "sum(v * expert[i](x), k)",
         "y = expert(x); return sum(v * y[E: i], k)");
    same("[E, c, D]", "expert(x[T: t])",
         "y = x[T: t]; return silu(y @ expert.gate) @ expert.down");
    same("[E, F, D]", "expert.gate", "expert.gate * 1");
    same("[T, E, F]", "x @ expert.gate", "(x @ expert.gate) * 1");
    same("[T, k, F]", "x @ expert.gate[E: i]",
         "y = x @ expert.gate; return y[E: i]");
}

static void flags_and_draws(void **state)
{
    (void)state;
    same("[T, D]", "training ? 2 * x : x", "x");
    same("[T, D]", "training ? gaussian(T, D) : x", "x");
    is("sum(random(T, D) < 1) + 0 * sum(x)", TOKENS * 3);
    is("sum(random(T, D) >= 0) + 0 * sum(x)", TOKENS * 3);
    same("[T, D]", "dropout(x, 0.5)", "x"); /* not in training */
    same("[T, D]", "stop(x)", "x");
    same("[T, D]", "f64(x)", "f32(x)");
}

static void draws_of_their_own(void **state)
{
    (void)state;
    const char *text =
        "module noisy(D) {\n"
        "  forward(x[T, D]) -> [T, D] { return gaussian(T, D) + 0 * x }\n}\n"
        "module m(D = 3) {\n  a: noisy(D)\n  b: noisy(D)\n"
        "  forward(x[T, D]) -> [T] {\n"
        "    return sum(abs(a(x) - b(x)), D) + sum(abs(a(x) - a(x)), D) * "
        "1000\n  }\n}\n";
    Text *t = text_new(text);
    Tensor *y = given(t, text);
    for (int i = 0; i < TOKENS; i++) /* others for b, the same for a */
        assert_true(y->at[i] > 0 && y->at[i] < 100);
    text_free(t);
}

static void effects(void **state)
{
    (void)state;
    fine("module m(D, E) {\n  weight router[E, D]\n"
         "  forward(x[T, D]) -> [T, D] {\n    s = softmax(x @ router, E)\n"
         "    loss even = cv2(sum(s, T), E)\n    stat use = sum(s, T)\n"
         "    return x * max(s, E)\n  }\n}\n");
    bad("[T, D]", "loss l = x; return x", "a loss is one number");
    wrong("module m(D) {\n  forward(x[T, D]) -> [T, D] { y = x }\n}\n",
          "this block returns nothing");
}

static void loops(void **state)
{
    (void)state;
    same("[T, D]", "y = x; for j in 3 { y = y + x }\n    return y", "4 * x");
    same("[T, D]", "y = x; for j in 3 { y = y + j * x }\n    return y",
         "4 * x");
    same("[T, D]", "y = x; z = x; for j in 2 { y = y + z; z = z * 2 }\n"
                   "    return y", "4 * x");
}

#define TEST(f) cmocka_unit_test(f)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(precedence), TEST(lines), TEST(nearest_names),
        TEST(elementwise_by_name), TEST(matmul), TEST(reductions), TEST(topk),
        TEST(indices), TEST(parameters), TEST(leading_dims), TEST(sizes),
        TEST(arrays), TEST(flags_and_draws),
        TEST(draws_of_their_own), TEST(effects), TEST(loops)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
