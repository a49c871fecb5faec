/* A program of graft's own, ready to run T tokens: a layer over random input,
 * or a model, where a single token comes after others. */
#include "cli/tools/bench.h"

static void *make_input(const BenchSubject *s, int64_t T, Routing how)
{
    if (s->layer) {
        void *x = xmalloc((size_t)type_bytes(s->t, T * s->width));
        bench_input(s->layer, how, s->t, T, s->width, x);
        return x;
    }
    int32_t *token = xmalloc((size_t)T * sizeof *token);
    for (int64_t i = 0; i < T; i++)
        token[i] = (int32_t)(i * 7919 % s->vocabulary);
    return token;
}

/* Runs n tokens after `before`, and gives the seconds; below 0: err. */
static double run_after(BenchRun *r, int64_t before, int64_t n, Err *err)
{
    const BenchSubject *s = r->s;
    Column in = {s->layer ? "x" : "token", s->layer ? s->t : TYPE_i32, r->x};
    Column out = {"y", s->layer ? s->t : TYPE_f32, r->y};
    state_truncate(r->state, before);
    double start = seconds_now();
    if (!program_run(s->p, r->state, n, r->pos + before, &in, 1, &out, 1, err))
        return -1;
    return seconds_now() - start;
}

double bench_run(BenchRun *r, Err *err)
{
    return run_after(r, r->before, r->T, err);
}

int64_t bench_before(const BenchSubject *s, int64_t T)
{
    int64_t usual = T == 1 ? 64 : 0;
    return s->layer ? 0 : s->context < 0 ? usual : s->context;
}

bool bench_run_begin(BenchRun *r, const BenchSubject *s, int64_t T,
                     Routing how, Err *err)
{
    *r = (BenchRun){.s = s, .T = T, .before = bench_before(s, T),
               .state = state_new(s->p)};
    int64_t most = T > r->before ? T : r->before;
    r->pos = xmalloc((size_t)(T + r->before) * sizeof *r->pos);
    for (int64_t i = 0; i < T + r->before; i++)
        r->pos[i] = (int32_t)i;
    r->x = make_input(s, most, how);
    r->y = xmalloc((size_t)(8 * program_output_count(s->p, "y", most)));
    return (!r->before || run_after(r, 0, r->before, err) >= 0) &&
           bench_run(r, err) >= 0;
}

void bench_run_end(BenchRun *r)
{
    state_free(r->state);
    free(r->pos);
    free(r->x);
    free(r->y);
}
