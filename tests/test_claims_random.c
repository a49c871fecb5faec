/* Random transforms of which it is known whether they preserve: sums of two
 * copies of a layer, scaled, permuted, with what spoils it now and then. No
 * claim that fails may be proved, none that holds refuted, and nearly all that
 * hold are proved. GRAFT_ALL=1 tries more, GRAFT_SEED others. */
#include "compiler/lang/lang.h"
#include "compiler/check/check.h"
#include "compiler/interp/interp.h"
#include "tests/prove_kit.h"

typedef struct {
    uint64_t seed, drawn;
    bool holds;
    char text[4096];
    size_t n;
} Made;

static int roll(Made *m, int n)
{
    return (int)(random_uniform(m->seed, m->drawn++) * n);
}

static double any(Made *m, int n, const double *list)
{
    return list[roll(m, n)];
}

static PRINTF(2, 3) void put(Made *m, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    m->n += (size_t)vsnprintf(m->text + m->n, sizeof m->text - m->n, fmt, ap);
    va_end(ap);
    assert_true(m->n < sizeof m->text);
}

/* A part is `share` times the layer, or some other function. */
typedef struct {
    double share;
    bool other;
} Part;

/* The weights of a copy: `share` of the layer, spoilt at times. */
static Part put_part(Made *m, const char *name, double share, const char *rows)
{
    static const double scales[] = {1, 1, 2, 0.5, 4, -1, -2, 0.25};
    double up = any(m, (int)COUNT(scales), scales);
    int spoilt = roll(m, 8);
    double gate = spoilt == 0 ? any(m, (int)COUNT(scales), scales) : 1;
    bool half = spoilt == 1 && *rows, swapped = spoilt == 2;
    put(m, "    %s.gate = %g * f.%s%s\n", name, gate, swapped ? "up" : "gate",
        rows);
    put(m, "    %s.up = %.17g * f.%s%s\n", name, up, swapped ? "gate" : "up",
        half ? "" : rows);
    put(m, "    %s.down = %.17g * f.down%s\n", name, share / up, rows);
    return (Part){share, gate != 1 || half || swapped};
}

/* c times one, s times the other: is it the layer? */
static bool is_layer(double c, Part a, double s, Part b, double bias)
{
    double x = c * a.share, y = s * b.share;
    if ((a.other && x != 0) || (b.other && y != 0))
        return false;
    return x + y == 1 && bias == 0;
}

static const char *const bodies[] = {
    "c * a(x) + s * b(x) + bias", "(a(x) * c + bias) + b(x) * s",
    "s * b(x) - bias + c * a(x)", "c * (a(x) + bias) + s * b(x) - c * bias",
};

/* A parameter stands for c: any number, so that it holds for none but where it
 * is said what c is. */
static void make(Made *m, uint64_t seed)
{
    static const double shares[] = {1, 1, 0.5, 0.25, 0, 2, -1, 0.75};
    *m = (Made){.seed = random_key(seed, "claim")};
    int body = roll(m, (int)COUNT(bodies));
    double c = any(m, 8, shares), s = any(m, 7, shares), x = any(m, 8, shares);
    double bias = roll(m, 6) == 0 && body != 3;
    double y = s != 0 && roll(m, 4) ? (1 - c * x) / s : any(m, 8, shares);
    int param = roll(m, 5); /* 0: not said; 1: said by when; else a number */
    const char *D = roll(m, 2) ? "D" : "c", *F = roll(m, 2) ? "F" : "s";
    const char *name = roll(m, 2) ? "F" : "K"; /* may be the module's own */
    if (!strcmp(F, name))
        F = "H";
    const char *rows =
        roll(m, 3) ? "" : intern_printf("[%s: p]", F);
    put(m, "use llama\nmodule pair(D, F, c, s) { a: swiglu(D, F); b: swiglu(D, "
           "F); weight bias[D]\n  forward(x[.., D]) -> [.., D] { return %s } "
           "}\n", bodies[body]);
    put(m, "transform t(%s = %g, seed = 1) { match f: swiglu(%s, %s)\n", name,
        c, D, F);
    if (*rows)
        put(m, "  p = shuffle(%s, seed)\n", F);
    put(m, "  replace with pair(%s, %s, %s, %.17g) {\n", D, F,
        param < 2 ? name : intern_printf("%g", c), s);
    Part a = put_part(m, "a", x, rows), b = put_part(m, "b", y, rows);
    put(m, "    bias = %s }\n", bias != 0 ? "ones" : "zeros");
    put(m, "  preserves%s }\n",
        param == 1 ? intern_printf(" when %s == %g", name, c) : "");
    m->holds = is_layer(c, a, s, b, bias) &&
               (param || (x == 0 && is_layer(c + 1, a, s, b, bias)));
}

static ProofResult judged(const char *text)
{
    Arena arena = {0};
    Diags diags = {.quiet = true};
    Claims claims = {0};
    Spec *s = spec_new(&arena, &diags);
    if (!spec_text(s, "claim.graft", text) || !spec_check(s, &claims) ||
        claims.n != 1)
        fail_msg("%s: %s", text,
                 diags.said.n ? diags.said.at[0].text : "no claim");
    ProofResult r = claims.at[0].proof->result;
    diags_free(&diags);
    arena_free(&arena);
    return r;
}

static void known_claims(void **state)
{
    (void)state;
    const char *all = getenv("GRAFT_ALL"), *from = getenv("GRAFT_SEED");
    int count = all && *all == '1' ? 6000 : 250, holds = 0, proved = 0;
    uint64_t first = from ? strtoull(from, NULL, 10) * 1000003 : 0;
    for (int i = 0; i < count; i++) {
        Made m;
        make(&m, first + (uint64_t)i);
        ProofResult r = judged(m.text);
        holds += m.holds;
        proved += m.holds && r == PROOF_proved;
        if (m.holds ? r == PROOF_refuted : r == PROOF_proved)
            fail_msg("%llu: %s, but it %s:\n%s",
                     (unsigned long long)first + (unsigned)i,
                     r == PROOF_proved ? "proved" : "refuted",
                     m.holds ? "holds" : "fails", m.text);
    }
    print_message("%d of %d that hold are proved; %d do not hold\n", proved,
                  holds, count - holds);
    assert_true(holds > count / 10 && holds < count * 9 / 10);
    assert_true(20 * proved >= 19 * holds);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(known_claims)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
