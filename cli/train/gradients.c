/* The gradients of a step: where they come out, added up over runs, their norm.
 */
#include "cli/train/gradients.h"
#include <math.h>
#include <string.h>

static int find_out(const Gradients *g, const char *name)
{
    for (int i = 0; i < g->out.n; i++)
        if (!strcmp(g->out.at[i].name, name))
            return i;
    return -1;
}

static void *zeroed(const Gradients *g, int64_t count)
{
    int64_t bytes = type_bytes(g->dtype, count);
    void *at = exec_alloc(bytes + 64);
    memset(at, 0, (size_t)bytes);
    return at;
}

static int add_out(Gradients *g, const GradStep *step, const char *name)
{
    int at = find_out(g, name);
    if (at >= 0)
        return at;
    const Node *n = graph_find_output(step->graph, name);
    struct GradOut o = {.name = name, .count = type_count(&n->type, 1)};
    o.sum = zeroed(g, o.count);
    list_push(&g->arena, &g->out, o);
    return g->out.n - 1;
}

void gradients_begin(Gradients *g, Params *p, const GradStep *step)
{
    *g = (Gradients){.params = p, .dtype = p->exact ? TYPE_f64 : TYPE_f32};
    g->of = arena_alloc(&g->arena, (size_t)p->param.n * sizeof *g->of + 1);
    for (int i = 0; i < step->n; i++) {
        const GradOf *of = &step->of[i];
        Param *q = params_of(p, of->weight);
        int at = of->output ? add_out(g, step, of->output) : -1;
        int64_t first = of->place > 0 ? of->place * q->count : 0;
        g->of[q - p->param.at] =
            at < 0 ? NULL
                   : (char *)g->out.at[at].sum + type_bytes(g->dtype, first);
    }
    /* where nothing flows the gradient is 0: one buffer for all of these */
    int64_t most = 0;
    for (int i = 0; i < p->param.n; i++)
        if (p->param.at[i].trained && !g->of[i] && p->param.at[i].count > most)
            most = p->param.at[i].count;
    struct GradOut none = {.name = "", .count = 0};
    none.sum = most ? zeroed(g, most) : NULL;
    list_push(&g->arena, &g->out, none);
    for (int i = 0; i < p->param.n; i++)
        if (p->param.at[i].trained && !g->of[i])
            g->of[i] = none.sum;
}

int gradients_columns(Gradients *g, bool first, Column *out)
{
    int n = 0;
    for (int i = 0; i < g->out.n; i++) {
        struct GradOut *o = &g->out.at[i];
        if (!o->count)
            continue;
        if (!first && !o->now)
            o->now = zeroed(g, o->count);
        out[n++] = (Column){o->name, g->dtype, first ? o->sum : o->now};
    }
    return n;
}

void gradients_add(Gradients *g)
{
    for (int i = 0; i < g->out.n; i++) {
        struct GradOut *o = &g->out.at[i];
        for (int64_t j = 0; g->dtype == TYPE_f64 && j < o->count; j++)
            ((double *)o->sum)[j] += ((double *)o->now)[j];
        for (int64_t j = 0; g->dtype == TYPE_f32 && j < o->count; j++)
            ((float *)o->sum)[j] += ((float *)o->now)[j];
    }
}

enum { BLOCK = 1 << 16, LANES = 16 };

/* In lanes: sums do not wait for one another. */
static double block_squares(Dtype t, const void *at, int64_t first, int64_t end)
{
    const double *wide = at;
    const float *narrow = at;
    double lane[LANES] = {0}, sum = 0;
    int64_t i = first;
    for (; t == TYPE_f32 && i + LANES <= end; i += LANES)
        for (int j = 0; j < LANES; j++)
            lane[j] += (double)narrow[i + j] * narrow[i + j];
    for (; i < end; i++) {
        double v = t == TYPE_f64 ? wide[i] : narrow[i];
        lane[i % LANES] += v * v;
    }
    for (int j = 0; j < LANES; j++)
        sum += lane[j];
    return sum;
}

/* The sum of squares of n values: of blocks, whose sums are added in order, so
 * that it is the same for any number of threads. */
static double squares(Dtype t, const void *at, int64_t n)
{
    int64_t blocks = (n + BLOCK - 1) / BLOCK;
    double *of = xmalloc((size_t)blocks * sizeof *of + 1), sum = 0;
#pragma omp parallel for schedule(static) if (blocks > 1)
    for (int64_t b = 0; b < blocks; b++)
        of[b] = block_squares(t, at, b * BLOCK,
                              (b + 1) * BLOCK < n ? (b + 1) * BLOCK : n);
    for (int64_t b = 0; b < blocks; b++)
        sum += of[b];
    free(of);
    return sum;
}

double gradients_norm(const Gradients *g)
{
    double sum = 0;
    for (int i = 0; i < g->params->param.n; i++)
        if (g->of[i])
            sum += squares(g->dtype, g->of[i], g->params->param.at[i].count);
    return sqrt(sum);
}

int gradients_unfinite(const Gradients *g)
{
    for (int i = 0; i < g->params->param.n; i++)
        if (g->of[i] && type_unfinite(g->dtype, g->of[i],
                                      g->params->param.at[i].count) >= 0)
            return i;
    return -1;
}

void gradients_free(Gradients *g)
{
    for (int i = 0; i < g->out.n; i++) {
        free(g->out.at[i].sum);
        free(g->out.at[i].now);
    }
    arena_free(&g->arena);
}

/* ---- as a file ---- */

/* The name of one of a parameter's tensors. */
static const char *name_at(const Param *q, const int64_t *index)
{
    return q->learned ? q->weight->path : weight_tensor(q->weight, index);
}

static void add_shape(const Gradients *g, const Param *q, cJSON *to)
{
    const FilePlan *plan = &g->params->opened->plan;
    const Weight *w = q->weight;
    for (int i = 0; i < plan->weight.n; i++) {
        const TensorInfo *t = &plan->tensor.at[plan->weight.at[i].first];
        for (int d = 0; plan->weight.at[i].weight == w && d < t->rank; d++)
            cJSON_AddItemToArray(to, cJSON_CreateNumber((double)t->shape[d]));
        if (plan->weight.at[i].weight == w)
            return;
    }
    for (int d = q->learned ? 0 : w->stacked; d < w->type.rank; d++)
        cJSON_AddItemToArray(
            to, cJSON_CreateNumber((double)size_at(w->type.dim[d]->size, 0)));
}

static char *header(const Gradients *g)
{
    cJSON *root = cJSON_CreateObject();
    int64_t at = 0;
    for (int i = 0; i < g->params->param.n; i++) {
        const Param *q = &g->params->param.at[i];
        if (!g->of[i])
            continue;
        int64_t index[MAX_RANK] = {0};
        int64_t bytes = type_bytes(g->dtype, q->count) /
                        (q->learned ? 1 : weight_stacked(q->weight));
        do {
            cJSON *one = cJSON_AddObjectToObject(root, name_at(q, index));
            cJSON_AddStringToObject(one, "dtype",
                                    type_info[g->dtype].safetensors);
            add_shape(g, q, cJSON_AddArrayToObject(one, "shape"));
            cJSON *range = cJSON_AddArrayToObject(one, "data_offsets");
            cJSON_AddItemToArray(range, cJSON_CreateNumber((double)at));
            at += bytes;
            cJSON_AddItemToArray(range, cJSON_CreateNumber((double)at));
        } while (!q->learned && weight_next(q->weight, index));
    }
    char *text = cJSON_PrintUnformatted(root);
    cJSON_Delete(root);
    return text;
}

static bool put_all(const Gradients *g, FileStream *f, const char *head,
                    Err *err)
{
    static const char spaces[] = "        ";
    uint64_t len = strlen(head), padded = (len + 7) / 8 * 8;
    bool fine = stream_put(f, &padded, 8, err) &&
                stream_put(f, head, len, err) &&
                stream_put(f, spaces, padded - len, err);
    for (int i = 0; fine && i < g->params->param.n; i++)
        if (g->of[i])
            fine = stream_put(f, g->of[i],
                            (size_t)type_bytes(g->dtype,
                                               g->params->param.at[i].count),
                            err);
    return fine;
}

bool gradients_write(const Gradients *g, const char *path, Err *err)
{
    FileStream *f = stream_begin(path, err);
    if (!f)
        return false;
    char *head = header(g);
    bool fine = put_all(g, f, head, err);
    cJSON_free(head);
    if (fine)
        return stream_finish(f, err);
    stream_cancel(f);
    return false;
}
