/* A repeat with several values: carried, the same for all, a part for each
 * pass, stacked. Held against the same graph written out (flat.ir), on the
 * interpreter and compiled. */
#include "tests/program_kit.h"

enum { TOKENS = 41, WIDTH = 5 };

typedef struct {
    Kit *k;
    Diags diags;
    Source src;
    char *text;
} Read;

static Read read_ir(const char *name)
{
    Read r = {.k = kit_new(TOKENS)};
    Err err;
    size_t len;
    r.text = read_file(intern_printf("%s/%s.ir", TESTS_IR, name), &len, &err);
    assert_non_null(r.text);
    r.src = (Source){name, r.text, (int)len, &r.diags};
    r.k->g = ir_read(&r.k->arena, &r.src);
    assert_non_null(r.k->g);
    static const struct {
        const char *name;
        int count;
    } given[] = {{"in", TOKENS * WIDTH}, {"h", TOKENS * WIDTH}, {"s", WIDTH},
                 {"parts", 3 * WIDTH}, {"a", WIDTH}, {"m", 7 * WIDTH},
                 {"b", WIDTH}, {"c", WIDTH}};
    for (size_t i = 0; i < COUNT(given); i++) {
        r.k->in[i].name = given[i].name;
        r.k->in[i].at = noise(r.k, given[i].count);
    }
    r.k->nin = (int)COUNT(given);
    return r;
}

static void read_free(Read *r)
{
    diags_free(&r->diags);
    kit_free(r->k);
    free(r->text);
}

static Tensor **run_exactly(Read *r, int64_t T)
{
    Tensor **out = arena_alloc(&r->k->arena, 16 * sizeof *out);
    r->k->env.T = T;
    r->k->env.exact = true;
    if (!interp_run(r->k->g, &r->k->env, &r->k->arena, out, &r->k->err))
        fail_msg("%s", r->k->err.text);
    return out;
}

/* The output, or its parts 0 and 1, one after the other. */
static const double *written_out(const Read *flat, Tensor **out,
                                 const char *name, int64_t count)
{
    const Graph *g = flat->k->g;
    double *all = arena_alloc(&flat->k->arena, (size_t)count * sizeof *all);
    int64_t n = 0;
    for (int i = 0; i < g->output.n; i++) {
        const char *is = g->output.at[i].name;
        size_t len = strlen(name);
        if (strncmp(is, name, len) || (is[len] && !strchr("01", is[len])))
            continue;
        assert_true(n + out[i]->count <= count);
        memcpy(all + n, out[i]->at, (size_t)out[i]->count * sizeof *all);
        n += out[i]->count;
    }
    assert_int_equal(n, count);
    return all;
}

static void as_if_written_out(void **state)
{
    (void)state;
    static const int64_t list[] = {1, 2, 7, TOKENS};
    for (size_t i = 0; i < COUNT(list); i++) {
        Read r = read_ir("repeat"), flat = read_ir("flat");
        Tensor **is = run_exactly(&r, list[i]);
        Tensor **want = run_exactly(&flat, list[i]);
        const Graph *g = r.k->g;
        assert_int_equal(g->output.n, 7);
        for (int j = 0; j < g->output.n; j++) {
            const double *w = written_out(&flat, want, g->output.at[j].name,
                                          is[j]->count);
            for (int64_t n = 0; n < is[j]->count; n++)
                if (fabs(is[j]->at[n] - w[n]) > 1e-12 * (1 + fabs(w[n])))
                    fail_msg("%s, T %d, element %d: %.17g, should be %.17g",
                             g->output.at[j].name, (int)list[i], (int)n,
                             is[j]->at[n], w[n]);
        }
        read_free(&r);
        read_free(&flat);
    }
}

static void compiled(void **state)
{
    (void)state;
    Read r = read_ir("repeat");
    AGREE(r.k, 1e-5, 1, 2, 7, 13, TOKENS);
    read_free(&r);
}

/* Only y is wanted: nothing else is computed, nor kept. */
static void what_nothing_reads_is_not_made(void **state)
{
    (void)state;
    Read r = read_ir("repeat");
    r.k->g->output.n = 1;
    CpuOptions o = {.threads = 1, .cache = kit_cache()};
    Bench *b = bench_new(r.k, &o, false);
    const Plan *p = program_plan(b->p);
    assert_int_equal(p->kernel.n, 1);
    assert_int_equal(p->kernel.at[0]->nout, 1);
    for (int i = 0; i < p->body.n; i++) {
        const Graph *body = p->body.at[i]->graph;
        assert_int_equal(body->output.n, 2); /* y and y.h, which goes round */
        for (int j = 0; j < body->node.n; j++)
            assert_int_not_equal(body->node.at[j]->op, OP_contract);
    }
    bench_free(b);
    read_free(&r);
}

/* Of the interpreter, too: a weight that only a stat needs is not fetched. */
static void nor_run(void **state)
{
    (void)state;
    Read r = read_ir("repeat");
    r.k->g->output.n = 1;
    run_exactly(&r, 3);
    assert_int_equal(r.k->fetched, 3);
    read_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_if_written_out),
        cmocka_unit_test(compiled),
        cmocka_unit_test(what_nothing_reads_is_not_made),
        cmocka_unit_test(nor_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
