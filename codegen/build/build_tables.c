/* The C text of a built program: tables, between the driver's types and its
 * functions (codegen/build/standalone). */
#include "compiler/lang/lang.h"
#include "codegen/build/build_tables.h"
#include <string.h>

extern const char text_standalone_types[], text_standalone_run[];

#define SAY(...) fprintf(b->out, __VA_ARGS__)

/* ---- weights ---- */

int build_tensor(Build *b, const Weight *w, int64_t index, Dtype t)
{
    for (int i = 0; i < b->tensor.n; i++)
        if (b->tensor.at[i].weight == w && b->tensor.at[i].index == index &&
            b->tensor.at[i].dtype == t)
            return i;
    Given g = {w, index, t};
    list_push(&b->p->arena, &b->tensor, g);
    return b->tensor.n - 1;
}

typedef struct {
    Build *b;
    char *uses, *dims, *stacks; /* rows of tables */
    size_t nuses, ndims, nstacks;
    FILE *use, *dim, *stack;
    int uses_n, dims_n, stacks_n;
} Tables;

static int64_t take(Build *b, int64_t bytes)
{
    int64_t at = b->weight_bytes;
    b->weight_bytes += (bytes + 63) / 64 * 64;
    return at;
}

static void plain_use(Tables *t, const Weight *w, int64_t index, Dtype type,
                      int64_t to)
{
    fprintf(t->use, "    {%d, %lld, 0, 0, 0, 0, 0, 0, 0, 0, 0},\n",
            build_tensor(t->b, w, index, type), (long long)to);
    t->uses_n++;
}

/* Returns where the kernels find it. */
static int64_t hold_plain(Tables *t, const Instance *in, const Buffer *buf)
{
    Build *b = t->b;
    const Weight *w = steps_weight(in, buf->node);
    Dtype type = buf->type.dtype;
    int64_t n = weight_tensors(w);
    int64_t each = type_bytes(type, weight_elements(w));
    int64_t at = take(b, n * each), table = at;
    if (buf->stacked) {
        table = take(b, 8 * n);
        fprintf(t->stack, "    {%lld, %lld, %lld, %lld},\n", (long long)table,
                (long long)at, (long long)each, (long long)n);
        t->stacks_n++;
    }
    for (int64_t i = 0; i < n; i++)
        plain_use(t, w, i, type, at + i * each);
    return table;
}

static void say_dim(Tables *t, int64_t size, int64_t stride, int64_t fixed)
{
    fprintf(t->dim, "    {%lld, %lld, %lld},\n", (long long)size,
            (long long)stride, (long long)fixed);
    t->dims_n++;
}

/* A pack's dim as the packer wants it, for tensor `index` of the stack. */
static void pack_dim(Tables *t, const Type *type, int stacked, int64_t index,
                     const Dim *d)
{
    int64_t stride = 1, fixed = -1;
    int at = type_dim(type, d);
    for (int i = type->rank - 1; i > at && i >= stacked; i--)
        stride *= size_at(type->dim[i]->size, 1);
    for (int i = stacked - 1; i >= at && at < stacked; i--) {
        int64_t size = size_at(type->dim[i]->size, 1);
        fixed = index % size;
        index /= size;
    }
    say_dim(t, size_at(d->size, 1), at < stacked ? 0 : stride, fixed);
}

/* N's last dim as Pack.halves orders it: runs, halves, a run's columns. */
static void pack_halves(Tables *t, const Pack *k, const Type *type)
{
    const Dim *d = k->n[k->nn - 1];
    int64_t run = k->cols / 2, half = size_at(d->size, 1) / 2, stride = 1;
    for (int i = type->rank - 1; i > type_dim(type, d); i--)
        stride *= size_at(type->dim[i]->size, 1);
    say_dim(t, half / run, run * stride, -1);
    say_dim(t, 2, half * stride, -1);
    say_dim(t, run, stride, -1);
}

static void packed_use(Tables *t, const Pack *k, int part, const Weight *w,
                       int64_t index, int64_t to)
{
    int first = t->dims_n;
    const Type *type = &k->part[part]->type;
    for (int i = 0; i < k->nb; i++)
        pack_dim(t, type, w->stacked, index, k->b[i]);
    for (int i = 0; i < k->nn - k->halves; i++)
        pack_dim(t, type, w->stacked, index, k->n[i]);
    if (k->halves)
        pack_halves(t, k, type);
    for (int i = 0; i < k->nk; i++)
        pack_dim(t, type, w->stacked, index, k->k[i]);
    fprintf(t->use,
            "    {%d, %lld, 1, %d, %d, %d, %d, %d, %d, %d, %d},\n",
            build_tensor(t->b, w, index, k->dtype), (long long)to, k->nb,
            k->nn + 2 * k->halves, k->nk, first, k->cols, k->pair,
            k->parts, part);
    t->uses_n++;
}

static int64_t hold_packed(Tables *t, const Instance *in, const Buffer *buf)
{
    int64_t at = take(t->b, pack_bytes(&buf->pack));
    for (int i = 0; i < buf->pack.parts; i++) {
        const Weight *w = steps_weight(in, buf->pack.part[i]);
        for (int64_t j = 0; j < weight_tensors(w); j++)
            packed_use(t, &buf->pack, i, w, j, at);
    }
    return at;
}

/* A C table of n rows; C wants one at least. */
static void say_table(Build *b, const char *type, const char *name, int n,
                      const char *rows)
{
    SAY("static const %s %s[] = {\n%s};\n", type, name,
        n ? rows : "    {0},\n");
}

static void weight_tables(Build *b)
{
    Tables t = {.b = b};
    t.use = open_memstream(&t.uses, &t.nuses);
    t.dim = open_memstream(&t.dims, &t.ndims);
    t.stack = open_memstream(&t.stacks, &t.nstacks);
    for (int i = 0; i < b->p->steps.weight.n; i++) {
        const Held *h = &b->p->steps.weight.at[i];
        b->weight_at[i] = h->b->kind == BUF_packed
                              ? hold_packed(&t, h->in, h->b)
                              : hold_plain(&t, h->in, h->b);
    }
    fclose(t.use);
    fclose(t.dim);
    fclose(t.stack);
    say_table(b, "gr_WeightUse", "gr_uses", t.uses_n, t.uses);
    say_table(b, "gr_PackDim", "gr_pack_dims", t.dims_n, t.dims);
    say_table(b, "gr_Stack", "gr_stacks", t.stacks_n, t.stacks);
    SAY("enum { USES = %d, STACKS = %d };\n#define WEIGHT_BYTES %lldLL\n",
        t.uses_n, t.stacks_n, (long long)b->weight_bytes);
    free(t.uses);
    free(t.dims);
    free(t.stacks);
}

/* ---- steps ---- */

static const char *symbol(const ProgramStep *of)
{
    return intern_printf("%s%s", of->kernel->name, of->append ? "_append" : "");
}

static void declare_kernels(Build *b)
{
    const Steps *s = &b->p->steps;
    for (int i = 0; i < s->step.n; i++) {
        const ProgramStep *of = &s->step.at[i];
        bool said = false;
        for (int j = 0; j < i && !said; j++)
            said = s->step.at[j].kernel == of->kernel &&
                   s->step.at[j].append == of->append;
        if (!said)
            SAY("extern gr_Kernel %s;\nextern gr_Tasks %s_tasks;\n", symbol(of),
                symbol(of));
    }
}

/* Blocks of weights, angles and caches lie in one piece of memory each. */
static void say_address(Build *b, Address a)
{
    static const char *const word[SPACES] = {
        "",           "AT_value", "AT_in",    "AT_out",
        "AT_weight",  "AT_cache", "AT_angle", "AT_pos"};
    const int64_t *at = a.space == SPACE_weight  ? b->weight_at
                        : a.space == SPACE_angle ? b->angle_at
                        : a.space == SPACE_cache ? b->cache_at
                                                 : NULL;
    if (!a.space)
        BUG("an argument without a place");
    SAY("    {%s, %d, %lld},\n", word[a.space], at ? 0 : a.block,
        (long long)(a.at + (at ? at[a.block] : 0)));
}

static void step_tables(Build *b)
{
    const Steps *s = &b->p->steps;
    declare_kernels(b);
    SAY("static const gr_Arg gr_args[] = {\n");
    for (int i = 0; i < s->arg.n; i++)
        say_address(b, s->arg.at[i]);
    SAY("};\nstatic const gr_Step gr_steps[] = {\n");
    for (int i = 0; i < s->step.n; i++) {
        const ProgramStep *of = &s->step.at[i];
        SAY("    {%s, %s_tasks, %d, %d, %d},\n", symbol(of), symbol(of),
            of->first, of->n, of->joined);
    }
    SAY("};\nenum { STEPS = %d, ARGS = %d };\n", s->step.n, s->arg.n);
}

/* ---- the rest ---- */

static void angle_tables(Build *b)
{
    const Steps *s = &b->p->steps;
    int first = 0;
    SAY("static const double gr_angle_freq[] = {\n");
    for (int i = 0; i < s->angle.n; i++)
        for (int j = 0; j < s->angle.at[i].rope->rotary / 2; j++)
            SAY("    %.17g,\n", s->angle.at[i].freq[j]);
    SAY("    0};\nstatic const gr_Angles gr_angles[] = {\n");
    for (int i = 0; i < s->angle.n; i++) {
        const Angles *a = &s->angle.at[i];
        SAY("    {%d, %d, %.17g, %lld},\n", a->rope->rotary / 2, first,
            a->scale, (long long)b->angle_at[i]);
        first += a->rope->rotary / 2;
    }
    SAY("    {0}};\nenum { ANGLES = %d };\n", s->angle.n);
}

static void size_tables(Build *b)
{
    const RunSizes *z = b->p->plan->sizes;
    for (int i = 1; i < z->at.n; i++) {
        SAY("static const int64_t gr_size_%d[] = {0", i);
        for (int64_t T = 1; T <= b->o->tokens; T++) {
            double real = size_value(z->at.at[i].size, T);
            int64_t v = 0;
            if (z->at.at[i].real)
                memcpy(&v, &real, sizeof v);
            else
                v = size_at(z->at.at[i].size, T);
            SAY("%s%lld", T % 8 ? ", " : ",\n    ", (long long)v);
        }
        SAY("};\n");
    }
    SAY("static const gr_RunSize gr_run_sizes[] = {\n");
    for (int i = 1; i < z->at.n; i++)
        SAY("    {%d, gr_size_%d},\n", i, i);
    SAY("    {0}};\nenum { TABLED_SIZES = %d, RUN_SIZES = %d, "
        "RUN_BELOW = %d };\n",
        z->at.n - 1, z->at.n, RUN_below);
}

static void column_tables(Build *b)
{
    int n = 0;
    SAY("static const gr_IndexColumn gr_index_columns[] = {\n");
    const Steps *s = &b->p->steps;
    for (int i = 0; i < s->in.n; i++) {
        const Type *t = &s->in.at[i]->type;
        int64_t one = type_count(t, 1), two = type_count(t, 2);
        if (!t->index_of)
            continue;
        SAY("    {%d, %lld, %lld, %lld},\n", i, (long long)(2 * one - two),
            (long long)(two - one), (long long)size_at(t->index_of->size, 1));
        n++;
    }
    SAY("    {0}};\nenum { INDEX_COLUMNS = %d };\n", n);
}

static void given_table(Build *b)
{
    SAY("const %s_Weight %s_weight[] = {\n", b->o->name, b->o->name);
    for (int i = 0; i < b->tensor.n; i++) {
        const Given *g = &b->tensor.at[i];
        const Type *t = &g->weight->type;
        int64_t at[MAX_RANK] = {0}, left = g->index;
        for (int j = g->weight->stacked - 1; j >= 0; j--) {
            int64_t size = size_at(t->dim[j]->size, 1);
            at[j] = left % size;
            left /= size;
        }
        SAY("    {\"%s\", \"%s\", %lld, %d, %d, {",
            text_c(weight_tensor(g->weight, at)), type_info[g->dtype].name,
            (long long)(type_count(t, 1) / weight_tensors(g->weight)),
            (int)type_bytes(g->dtype, 1), t->rank - g->weight->stacked);
        for (int j = g->weight->stacked; j < t->rank; j++)
            SAY("%s%lld", j > g->weight->stacked ? ", " : "",
                (long long)size_at(t->dim[j]->size, 1));
        SAY("%s}},\n", t->rank > g->weight->stacked ? "" : "0");
    }
    SAY("    {0}};\n");
}

/* NAME_run: the columns by their names, handed on as lists. */
static void run_function(Build *b)
{
    SAY("\n");
    build_signature(b);
    SAY("\n{\n    void *const in[] = {");
    const Steps *s = &b->p->steps;
    for (int i = 0; i < s->in.n; i++)
        SAY("(void *)(uintptr_t)%s, ", build_column(b, s->in.at[i], false));
    SAY("0};\n    void *const out[] = {");
    for (int i = 0; i < s->out.n; i++)
        SAY("%s, ", build_column(b, s->out.at[i], true));
    SAY("0};\n    return gr_run_step(m, T, %s, in, out);\n}\n",
        build_ordered(b) ? "pos" : "NULL");
}

/* What of the CPU kernels may use, in the words of C compilers. */
static void cpu_check(Build *b)
{
    static const char *const words[] = {
        "avx2",     "fma",      "avx512f",    "avx512bw",
        "avx512dq", "avx512vl", "avx512vnni", "avx512bf16"};
    const Target *t = b->p->target;
    SAY("static int gr_cpu_fits(void)\n{\n");
    if (t->x86)
        SAY("#if defined __GNUC__ && defined __x86_64__\n"
            "    __builtin_cpu_init();\n");
    for (size_t i = 0; t->x86 && i < COUNT(words); i++)
        if (target_has(t, intern_printf("+%s", words[i])))
            SAY("    if (!__builtin_cpu_supports(\"%s\"))\n"
                "        return 0;\n", words[i]);
    SAY("%s    return 1;\n}\n", t->x86 ? "#endif\n" : "");
}

static void includes(Build *b)
{
    bool amx = b->p->target->amx;
    SAY("#define _DEFAULT_SOURCE\n#include \"%s.h\"\n", b->o->name);
    SAY("#include <math.h>\n#include <sched.h>\n#include <stdatomic.h>\n"
        "#include <stdlib.h>\n#include <string.h>\n%s"
        "#ifdef __linux__\n#include <sys/mman.h>\n#endif\n"
        "#ifdef _OPENMP\n#include <omp.h>\n#endif\n\n",
        amx ? "#include <sys/syscall.h>\n#include <unistd.h>\n"
              "#define USES_AMX\n" : "");
}

void build_tables(Build *b)
{
    const char *name = b->o->name;
    SAY("/* %s, made by graft: tables of its steps and what runs them. The\n"
        " * kernels are in %s.o. Build with -fopenmp for more threads. */\n",
        name, name);
    includes(b);
    SAY("#define NAME %s\n#define G(x) %s_##x\n#define WEIGHT %s_Weight\n\n",
        name, name, name);
    SAY("%s\n", text_standalone_types);
    weight_tables(b);
    given_table(b);
    step_tables(b);
    angle_tables(b);
    size_tables(b);
    column_tables(b);
    SAY("#define LEAST_TOKENS %lldLL\n#define TOKENS %lldLL\n"
        "#define CAPACITY %lldLL\n",
        (long long)b->least, (long long)b->o->tokens,
        (long long)b->o->capacity);
    SAY("#define VALUE_BYTES %lldLL\n#define CACHE_BYTES %lldLL\n"
        "#define ANGLE_BYTES %lldLL\n#define THREAD_BYTES %lldLL\n",
        (long long)b->p->steps.bytes, (long long)b->cache_bytes,
        (long long)b->angle_bytes, (long long)program_scratch(b->p));
    cpu_check(b);
    SAY("%s", text_standalone_run);
    run_function(b);
}
