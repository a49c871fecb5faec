/* The static model: a launch takes as long as what it needs most of, in whole
 * waves of blocks,
 *     seconds = LAUNCH + max(bytes / memory, blocks / units * steps * clocks,
 *                            waves * loads * LATENCY, bytes of tiles / l2)
 * where the clocks of a step are those of tensor cores, of issuing (counted in
 * machine code by nvdisasm), or of shared memory. */
#include "codegen/cuda/cuda_matmul.h"
#include "codegen/emit/kernel.h"
#include "codegen/program/steps.h"
#include <math.h>

static const double LAUNCH = 2.5e-6;  /* a launch, none of a graph's */
static const double LATENCY = 0.8e-6; /* of memory that is busy */

/* memory and l2: what copies reach, below what data sheets say (4.8, 3.35 and
 * 2.04 TB/s); sync: arXiv 2402.13499. */
static const CudaMachine machines[] = {
    {"h200", "H200 SXM", 132, 1.755e9, 4.3e12, 8.1e12, 4096, 0.62, 256, 228},
    {"h100", "H100 SXM", 132, 1.755e9, 3.0e12, 8.1e12, 4096, 0.62, 256, 228},
    {"a100", "A100 SXM 80 GB", 108, 1.41e9, 1.8e12, 4.7e12, 2048, 1, 128, 164},
};

const CudaMachine *cuda_machine(int i)
{
    return i < (int)COUNT(machines) ? &machines[i] : NULL;
}

double cuda_peak(const CudaMachine *m)
{
    return m->units * m->clock * m->tensor;
}

/* ---- what may bind ---- */

typedef struct {
    const CudaMachine *m;
    int64_t before, T;
    CudaExpected *to;
} Forecast;

static void takes(const Forecast *f, double seconds, const char *bound)
{
    if (seconds <= f->to->seconds)
        return;
    f->to->seconds = seconds;
    f->to->bound = bound;
}

static void moves(const Forecast *f)
{
    takes(f, f->to->bytes / f->m->memory, "memory");
}

static double product(int n, const Dim *const *d, int64_t T)
{
    return (double)size_at(cu_size_of(n, d), T);
}

/* Blocks that a multiprocessor has at once. */
static double resident(const Forecast *f, const CudaKernel *k)
{
    double n = fmin(2048 / k->threads, k->blocks);
    return fmax(1, fmin(n, f->m->shared * 1024 / (k->shared + 1024)));
}

static double waves(const Forecast *f, const CudaKernel *k, double blocks)
{
    return ceil(blocks / (f->m->units * resident(f, k)));
}

/* ---- matmuls ---- */

typedef struct {
    const MatmulPart *part;
    const Pack *pack;
    double rows, batches; /* of each batch or active expert; how many */
    double columns, depth, steps;
} Product;

static Product product_of(const Forecast *f, const CudaKernel *k)
{
    const Matmul *m = &k->kernel->matmul;
    Product p = {.part = &m->part[k->part]};
    p.pack = &p.part->w->pack;
    p.rows = product(m->nm, m->m, f->T);
    p.batches = product(m->nb, m->b, f->T);
    if (m->expert) { /* of the experts no more than there are rows */
        p.batches = fmin(p.rows, (double)size_at(m->expert->size, f->T));
        p.rows /= fmax(1, p.batches);
    }
    p.columns = product(p.pack->nn, p.pack->n, f->T) * p.pack->parts;
    p.depth = product(p.pack->nk, p.pack->k, f->T);
    p.steps = ceil(p.depth / PACK_K);
    return p;
}

static void counts(const Forecast *f, const CudaKernel *k, const Product *p)
{
    double all = p->rows * p->batches, each = p->columns * p->depth;
    double weights = p->pack->nb || k->kernel->matmul.expert ? p->batches : 1;
    double element = (double)type_bytes(p->pack->dtype, 1);
    f->to->flops = 2 * all * each;
    f->to->bytes = weights * each * element;
    f->to->bytes += (double)buffer_bytes(
        kernel_leaf(k->kernel, k->kernel->matmul.x), f->T);
    for (int i = 0; i < p->part->nout; i++)
        f->to->bytes += (double)buffer_bytes(
            k->kernel->out[p->part->first_out + i], f->T);
}

/* Clocks of a block's step, and what they go to. */
static double step_clocks(const Forecast *f, const MmTile *t, const char **by)
{
    double flops = 2.0 * t->rows * t->columns * PACK_K;
    double warps = t->warps, tiles = t->mi * t->ni;
    double issue = (t->tensor ? 7.2 * tiles + 22 : 256 * tiles) * warps / 4;
    double bytes = t->tensor ? 2 : 4;
    double fill = (t->rows + t->columns) * PACK_K * bytes;
    double read = warps * (16.0 * t->mi + 8.0 * t->ni) * PACK_K * bytes;
    double multiply = flops / (t->tensor ? f->m->tensor * f->m->sync
                                         : f->m->fma);
    double most = fmax(multiply, fmax(issue, (fill + read) / 128));
    *by = most == multiply ? (t->tensor ? "tensor cores" : "f32 units")
          : most == issue  ? "issuing" : "shared memory";
    return most;
}

static void tiles(const Forecast *f, const CudaKernel *k, const Product *p)
{
    const MmTile t = mm_tile(k->kernel, k->part);
    const char *by;
    double clocks = step_clocks(f, &t, &by);
    double blocks = ceil(p->rows / t.rows) * p->batches *
                    ceil(p->columns / t.columns);
    double bytes = (t.rows + t.columns) * PACK_K * (t.tensor ? 2 : 4);
    takes(f, ceil(blocks / f->m->units) * p->steps * clocks / f->m->clock, by);
    takes(f, blocks * p->steps * bytes / f->m->l2, "L2");
    takes(f, waves(f, k, blocks) * (p->steps / (t.stages - 1) + 1) * LATENCY,
          "latency");
}

/* A warp has all loads of FEW_STEPS steps under way, then none. */
static void few(const Forecast *f, const CudaKernel *k, const Product *p)
{
    double blocks = p->columns / (8 * p->pack->parts) * p->batches *
                    ceil(p->rows / 16);
    takes(f, waves(f, k, blocks) * (ceil(p->steps / FEW_STEPS) + 1) * LATENCY,
          "latency");
}

static void matmul(const Forecast *f, const CudaKernel *k)
{
    Product p = product_of(f, k);
    counts(f, k, &p);
    f->to->tensor = mm_tensor(k->kernel, k->part);
    k->few ? few(f, k, &p) : tiles(f, k, &p);
}

/* ---- all others ---- */

/* A warp has 32 positions: three instructions an element of a key and of a
 * value, each 32 times. */
static void attend(const Forecast *f, const CudaKernel *k)
{
    ProgramWork w = kernel_needs(NULL, k->kernel, f->before, f->T);
    f->to->flops = w.flops;
    f->to->bytes = w.bytes;
    double pairs = w.flops / 4; /* of a query's element and a key's */
    takes(f, 6 * pairs / 32 / 4 / f->m->units / f->m->clock, "issuing");
    double rows = (double)(f->before + f->T);
    double blocks = (double)size_at(k->grid[0], f->T);
    takes(f, waves(f, k, blocks) * (ceil(rows / 256) + 1) * LATENCY, "latency");
}

/* Of a weight no more is read than is stored: rows that were asked for. */
static void elements(const Forecast *f, const CudaKernel *k)
{
    const Kernel *of = k->kernel;
    double out = 0;
    for (int i = 0; i < of->nout; i++)
        out += (double)buffer_bytes(of->out[i], f->T);
    f->to->bytes = out;
    for (int i = 0; i < of->nin; i++) {
        double in = (double)buffer_bytes(of->in[i], f->T);
        bool weight = of->in[i]->kind == BUF_weight;
        f->to->bytes += weight ? fmin(in, out) : in;
    }
    takes(f, 2 * LATENCY, "latency");
}

static void append(const Forecast *f, const CudaKernel *k)
{
    const Attend *a = &k->kernel->attend;
    f->to->bytes = 2.0 * (double)(buffer_bytes(a->k, f->T) +
                                  buffer_bytes(a->v, f->T));
    takes(f, 2 * LATENCY, "latency");
}

static void expect(const Forecast *f)
{
    const CudaKernel *k = f->to->kernel;
    Skeleton s = k->kernel->skeleton;
    if (s == SKEL_matmul || s == SKEL_grouped)
        matmul(f, k);
    else if (s == SKEL_attend)
        k->append ? append(f, k) : attend(f, k);
    else
        elements(f, k);
    moves(f);
    f->to->seconds += LAUNCH;
}

static int runs_of(const Steps *s, const CudaKernel *k)
{
    int n = 0;
    for (int i = 0; i < s->step.n; i++)
        n += s->step.at[i].kernel == k->kernel &&
             s->step.at[i].append == k->append;
    return n;
}

CudaForecast cuda_expect(const CudaText *t, const CudaMachine *m,
                         int64_t before, int64_t T, Arena *a)
{
    Steps steps = {0};
    CudaForecast all = {0};
    steps_make(&steps, a, t->plan);
    all.at = arena_alloc(a, (size_t)(t->kernel.n + 1) * sizeof *all.at);
    for (int i = 0; i < t->kernel.n; i++) {
        const CudaKernel *k = &t->kernel.at[i];
        if (!cuda_runs(k, T))
            continue;
        CudaExpected *e = &all.at[all.n++];
        *e = (CudaExpected){.kernel = k, .runs = runs_of(&steps, k)};
        expect(&(Forecast){m, before, T, e});
        all.seconds += e->runs * e->seconds;
        all.flops += e->runs * e->flops;
        all.bytes += e->runs * e->bytes;
        all.launches += e->runs;
    }
    return all;
}
