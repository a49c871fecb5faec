/* Functions of floats against libm in double: error in ulp of the result, over
 * all magnitudes and the special values; scalar and vector forms agree. */
#include "codegen/emit/emit_math.h"
#include "tests/emit_jit.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

typedef Val (*Function)(Emit *, Val);
typedef struct {
    const char *name;
    Function emit;
    double (*exact)(double);
    double ulp;      /* allowed, of f32 */
    double low, high; /* arguments tried */
    double floor;    /* below that the error is counted absolutely */
} Row;

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}
static double silu(double x)
{
    return x * sigmoid(x);
}
static double cdf(double x)
{
    return 0.5 * erfc(-x * M_SQRT1_2);
}
static double gelu(double x)
{
    return x * cdf(x);
}
static double gelu_tanh(double x)
{
    return x * sigmoid(2 * 0.7978845608028654 * (x + 0.044715 * x * x * x));
}
static double softplus(double x)
{
    return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
}
static double rsqrt(double x)
{
    return 1 / sqrt(x);
}

static const Row rows[] = {
    {"exp", vm_exp, exp, 2, -104, 89, 0},
    {"log", vm_log, log, 2, 1e-40, 3e38, 0},
    {"tanh", vm_tanh, tanh, 2, -20, 20, 0},
    {"sigmoid", vm_sigmoid, sigmoid, 2.5, -100, 100, 0},
    {"silu", vm_silu, silu, 3, -85, 100, 0},
    {"gelu", vm_gelu, gelu, 5, -13, 100, 0},
    {"gelu_tanh", vm_gelu_tanh, gelu_tanh, 8, -10, 10, 1e-2},
    {"softplus", vm_softplus, softplus, 2.5, -85, 100, 0},
    {"cdf", vm_cdf, cdf, 5, -13, 10, 0},
    {"sin", vm_sin, sin, 2, -1e6, 1e6, 0},
    {"cos", vm_cos, cos, 2, -1e6, 1e6, 0},
    {"acos", vm_acos, acos, 2, -1, 1, 1e-3},
    {"rsqrt", vm_rsqrt, rsqrt, 2, 1e-30, 1e30, 0},
};

/* void NAME(ptr in, ptr out, i64 n): n a multiple of lanes */
static void emit_loop(Emit *e, const char *name, Function f, int lanes,
                      Dtype t)
{
    Ty args[] = {ty_ptr(e), ty_ptr(e), ty(e, TY_i64)};
    function(e, name, LLVMVoidTypeInContext(e->ctx), 3, args);
    Val in = param(e, 0, "in"), out = param(e, 1, "out");
    Loop i = loop_begin(e, "i", i64(e, 0), param(e, 2, "n"), lanes);
    Ty elem = ty_mem(e, t);
    Val x = load(e, vec(elem, lanes), at(e, elem, in, i.index));
    store(e, f(e, x), at(e, elem, out, i.index));
    loop_end(e, i);
    ret(e, NULL);
}

typedef void (*LoopFn)(const void *in, void *out, int64_t n);

enum { N = 4096 };

static double ulp_error(float got, double want, double floor)
{
    if (isnan(want) || isinf((float)want))
        return isnan(want) ? (isnan(got) ? 0 : 1e9) : got == (float)want ? 0
                                                                         : 1e9;
    double size = fmax(fabs(want), floor);
    double unit = size < 0x1p-126 ? 0x1p-149 : ldexp(1, ilogb(size) - 23);
    return fabs(got - want) / unit;
}

static void fill(const Row *r, float *x)
{
    static const float special[] = {0, -0.0f, 1, -1, 0.5f, -0.5f, 1e-30f,
                                    -1e-30f, 1e-42f, NAN};
    for (int i = 0; i < N; i++) {
        double u = (i + 0.5) / N;
        if (r->low > 0)
            x[i] = (float)exp(log(r->low) + u * log(r->high / r->low));
        else if (i & 1)
            x[i] = (float)(r->low + u * (r->high - r->low));
        else /* all magnitudes, both signs */
            x[i] = (float)((i & 2 ? r->low : r->high) * exp(-40 * u));
    }
    for (size_t i = 0; i < COUNT(special); i++)
        x[97 * i + 5] = special[i];
}

static double worst(const Row *r, LoopFn f, float *at)
{
    static float x[N], y[N];
    double most = 0;
    fill(r, x);
    f(x, y, N);
    for (int i = 0; i < N; i++) {
        double err = ulp_error(y[i], r->exact(x[i]), r->floor);
        if (err > most) {
            most = err;
            *at = x[i];
        }
    }
    return most;
}

static void test_single(void **state)
{
    const Target *targets[] = {target_host(), target_generic()};
    (void)state;
    for (size_t t = 0; t < 2; t++) {
        Arena a = {0};
        Emit *e = emit_new(&a, targets[t], "math");
        for (size_t i = 0; i < COUNT(rows); i++) {
            emit_loop(e, intern_printf("%s_v", rows[i].name), rows[i].emit,
                      e->lanes, TYPE_f32);
            emit_loop(e, intern_printf("%s_1", rows[i].name), rows[i].emit, 1,
                      TYPE_f32);
        }
        TestJit j = jit_compile(e);
        for (size_t i = 0; i < COUNT(rows); i++)
            for (int v = 0; v < 2; v++) {
                const char *name =
                    intern_printf("%s_%c", rows[i].name, v ? 'v' : '1');
                float x = 0;
                double err = worst(&rows[i], (LoopFn)jit_find(j, name), &x);
                if (err > rows[i].ulp)
                    fail_msg("%s: %g ulp off at %a", name, err, x);
            }
        jit_free(j);
        emit_free(e);
        arena_free(&a);
    }
}

static void test_double(void **state)
{
    (void)state;
    Arena a = {0};
    Emit *e = emit_new(&a, target_host(), "math64");
    for (size_t i = 0; i < COUNT(rows); i++)
        emit_loop(e, rows[i].name, rows[i].emit, 4, TYPE_f64);
    TestJit j = jit_compile(e);
    for (size_t i = 0; i < COUNT(rows); i++) {
        static double x[N], y[N];
        static float f[N];
        const Row *r = &rows[i];
        fill(r, f);
        for (int k = 0; k < N; k++)
            x[k] = f[k];
        ((LoopFn)jit_find(j, r->name))(x, y, N);
        for (int k = 0; k < N; k++) {
            double want = r->exact(x[k]);
            double bound = 2e-13 * fmax(fabs(want), r->floor) + 1e-300;
            if (isfinite(want) && !(fabs(y[k] - want) <= bound))
                fail_msg("%s(%a) is %.17g, not %.17g", r->name, x[k], y[k],
                         want);
            if (isnan(want))
                assert_true(isnan(y[k]));
        }
    }
    jit_free(j);
    emit_free(e);
    arena_free(&a);
}

static void test_special(void **state)
{
    static const float in[] = {INFINITY, -INFINITY, NAN, 0, -2, -0.0f, 2, 200};
    static float x[16], y[16];
    (void)state;
    Arena a = {0};
    Emit *e = emit_new(&a, target_host(), "special");
    for (size_t i = 0; i < COUNT(rows); i++)
        emit_loop(e, rows[i].name, rows[i].emit, 8, TYPE_f32);
    TestJit j = jit_compile(e);
    memcpy(x, in, sizeof in);
    for (size_t i = 0; i < COUNT(rows); i++) {
        ((LoopFn)jit_find(j, rows[i].name))(x, y, 8);
        for (int k = 0; k < 8; k++) {
            double want = rows[i].exact(x[k]);
            if (isinf(x[k]) && !strncmp(rows[i].name, "gelu", 4) && x[k] < 0)
                continue; /* -inf * 0: NaN both, but libm's may be -0 */
            if (ulp_error(y[k], want, 1e-6) > 8)
                fail_msg("%s(%g) is %g, not %g", rows[i].name, x[k], y[k],
                         want);
        }
    }
    jit_free(j);
    emit_free(e);
    arena_free(&a);
}

static Val power(Emit *e, Val pairs)
{
    static const int even[] = {0, 2, 4, 6, 0, 2, 4, 6};
    static const int odd[] = {1, 3, 5, 7, 1, 3, 5, 7};
    return vm_pow(e, shuffle(e, pairs, pairs, even, 8),
                  shuffle(e, pairs, pairs, odd, 8));
}

static void test_pow(void **state)
{
    static const float xs[] = {0,    1,   -1,       2,         -2,  0.3f, 10,
                               1e-3f, -3, INFINITY, -INFINITY, NAN, 1e20f};
    static const float ys[] = {0,  1,   2,        3,         -1,  0.5f, -2.5f,
                               7,  -3,  INFINITY, -INFINITY, NAN, 1.7f};
    (void)state;
    Arena a = {0};
    Emit *e = emit_new(&a, target_host(), "power");
    emit_loop(e, "power", power, 8, TYPE_f32);
    TestJit j = jit_compile(e);
    LoopFn f = (LoopFn)jit_find(j, "power");
    for (size_t i = 0; i < COUNT(xs); i++)
        for (size_t k = 0; k < COUNT(ys); k++) {
            float in[8] = {xs[i], ys[k]}, out[8];
            f(in, out, 8);
            double want = pow(xs[i], ys[k]);
            if (ulp_error(out[0], want, 0) > 1)
                fail_msg("pow(%g, %g) is %g, not %g", xs[i], ys[k], out[0],
                         want);
        }
    jit_free(j);
    emit_free(e);
    arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_single),
        cmocka_unit_test(test_double),
        cmocka_unit_test(test_special),
        cmocka_unit_test(test_pow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
