/* What a step has to do at least: multiplications of its matmuls and attention,
 * bytes of the weights, keys and values they read. */
#include "codegen/program/cpu.h"
#include "codegen/emit/matmul.h"
#include <math.h>

static double product(int n, const Dim *const *d, int64_t T)
{
    double v = 1;
    for (int i = 0; i < n; i++)
        v *= (double)size_at(d[i]->size, T);
    return v;
}

static void add_kind(ProgramWork *w, TileKind kind, double flops)
{
    w->dots += kind == TILE_dot ? flops : 0;
    w->amx += kind == TILE_amx ? flops : 0;
    w->codes += tile_quant(kind) ? flops : 0;
}

static void add_matmul(ProgramWork *w, const Target *t, const Kernel *k,
                       int64_t T)
{
    const Matmul *m = &k->matmul;
    double rows = product(m->nm, m->m, T) * product(m->nb, m->b, T);
    for (int i = 0; i < m->nparts; i++) {
        const Pack *p = &m->part[i].w->pack;
        double each = product(p->nn, p->n, T) * product(p->nk, p->k, T);
        bool panels = m->part[i].w->kind == BUF_panels;
        double bytes = panels ? 0 : (double)pack_bytes(p);
        double flops = 2 * rows * each * p->parts;
        w->flops += flops;
        if (t)
            add_kind(w, matmul_kind(t, m, p), flops);
        if (m->expert) { /* of the experts no more than there are rows */
            double E = (double)size_at(m->expert->size, T);
            bytes *= rows < E ? rows / E : 1;
        }
        w->bytes += bytes;
    }
}

/* Of attention: each token with those before it, half of its own step's. */
static void add_attend(ProgramWork *w, const Kernel *k, int64_t before,
                       int64_t T)
{
    const Type *q = &k->attend.q->type, *kv = &k->attend.k->type;
    double each = (double)before + (double)(T + 1) / 2; /* that a token sees */
    double rows = (double)(before + T), window = (double)k->attend.window;
    if (window > 0) {
        each = fmin(each, window);
        rows = fmin(rows, window + (double)T - 1);
    }
    w->flops += 4 * (double)T * each * product(2, q->dim + 1, T);
    w->bytes += 2 * rows * (double)type_bytes(kv->dtype, 1) *
                product(2, kv->dim + 1, T);
}

/* Of its gradients: scores again, g . v, dq, dk and dv are five products where
 * attention has two. */
static void add_back(ProgramWork *w, const Kernel *k, int64_t T)
{
    const Node *n = k->out[0]->node;
    double each = (double)(T + 1) / 2;
    if (n->size)
        each = fmin(each, (double)size_at(n->size, 1));
    w->flops += 10 * (double)T * each * product(2, n->arg[0]->type.dim + 1, T);
}

ProgramWork kernel_needs(const Target *t, const Kernel *k, int64_t before,
                         int64_t T)
{
    ProgramWork w = {0};
    if (k->skeleton == SKEL_matmul || k->skeleton == SKEL_grouped)
        add_matmul(&w, t, k, T);
    else if (k->skeleton == SKEL_attend)
        add_attend(&w, k, before, T);
    else if (k->skeleton == SKEL_back)
        add_back(&w, k, T);
    return w;
}

ProgramWork kernel_work(const Kernel *k, int64_t T)
{
    ProgramWork w = kernel_needs(target_measured(), k, trial_before(T), T);
    for (int i = 0; i < k->nin + k->nout; i++) {
        const Buffer *b = i < k->nin ? k->in[i] : k->out[i - k->nin];
        if (b->kind == BUF_value || b->kind == BUF_input ||
            b->kind == BUF_output || b->kind == BUF_panels)
            w.bytes += (double)buffer_bytes(b, T);
    }
    return w;
}

ProgramWork program_work(const Program *p, int64_t before, int64_t T)
{
    ProgramWork w = {0};
    for (int i = 0; i < p->steps.instance.n; i++) {
        const Plan *plan = p->steps.instance.at[i]->plan;
        for (int j = 0; j < plan->kernel.n; j++) {
            const Kernel *k = plan->kernel.at[j];
            if (k->skeleton == SKEL_matmul || k->skeleton == SKEL_grouped)
                add_matmul(&w, p->target, k, T);
            else if (k->skeleton == SKEL_attend)
                add_attend(&w, k, before, T);
            else if (k->skeleton == SKEL_back)
                add_back(&w, k, T);
        }
    }
    return w;
}

double peaks_seconds(const Peaks *p, const ProgramWork *w)
{
    double s = (w->flops - w->dots - w->amx - w->codes) / p->fma;
    s += w->dots > 0 ? w->dots / p->dot : 0;
    s += w->amx > 0 ? w->amx / p->amx : 0;
    return 1e-9 * (s + w->codes / p->codes);
}
