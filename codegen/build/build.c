/* Code for other programs: the kernels as an object file, and C text that holds
 * a program's steps as tables and runs them. */
#include "codegen/build/build_tables.h"
#include <ctype.h>
#include <errno.h>
#include <string.h>

/* ---- what cannot be built ---- */

/* "moe.graft:7:3: " where n comes from, or "". */
static const char *place_of(const Node *n)
{
    int line, col;
    if (!n->src)
        return "";
    loc_place(n->src, n->loc.at, &line, &col);
    return intern_printf("%s:%d:%d: ", n->src->path, line, col);
}

static bool only_kernels(const Plan *plan, Err *err)
{
    for (int i = 0; i < plan->kernel.n; i++) {
        const Kernel *k = plan->kernel.at[i];
        if (k->skeleton == SKEL_call)
            return err_set(err, "%s%s of %s only runs inside graft",
                           place_of(k->node), op_info[k->node->op].name,
                           plan->name);
        if (k->skeleton == SKEL_repeat && !k->repeat.n)
            return err_set(err, "%s repeats nothing", plan->name);
    }
    for (int i = 0; i < plan->body.n; i++)
        if (!only_kernels(plan->body.at[i], err))
            return false;
    return true;
}

static bool is_word_of_c(const char *name)
{
    static const char words[] =
        " alignas alignof asm auto bool break case char class const continue "
        "default delete do double else enum export extern float for friend "
        "goto if inline int long namespace new operator private protected "
        "public register return short signed sizeof static struct switch "
        "template this throw try typedef union unsigned using virtual void "
        "volatile while main ";
    return strstr(words, intern_printf(" %s ", name)) != NULL;
}

static bool good_name(const char *name)
{
    bool good = isalpha((unsigned char)*name);
    for (const char *p = name; *p; p++)
        good = good && (isalnum((unsigned char)*p) || *p == '_');
    return good && strlen(name) <= 40 && !is_word_of_c(name);
}

static bool check(const BuildOptions *o, Err *err)
{
    if (!good_name(o->name))
        return err_set(err, "%s: a name of letters, digits and _ is needed, "
                            "no word of C", o->name);
    if (o->tokens < 1 || o->tokens > 65536 || o->capacity < o->tokens)
        return err_set(err, "1 to 65536 tokens, and a capacity for them");
    return true;
}

/* ---- files ---- */

static bool file_begin(Build *b, const char *suffix, char *path, size_t size,
                       Err *err)
{
    snprintf(path, size, "%s/%s", b->o->dir, suffix);
    b->out = fopen(path, "w");
    return b->out || err_set(err, "%s: %s", path, strerror(errno));
}

static bool file_end(Build *b, const char *path, Err *err)
{
    bool good = !ferror(b->out);
    good = !fclose(b->out) && good;
    b->out = NULL;
    return good || err_set(err, "%s: %s", path, strerror(errno));
}

static bool write_text(Build *b, const char *suffix, void (*text)(Build *),
                       Err *err)
{
    char path[4096];
    if (!file_begin(b, suffix, path, sizeof path, err))
        return false;
    text(b);
    return file_end(b, path, err);
}

/* Kernels are called by the driver alone. */
static void hide(LLVMModuleRef m)
{
    for (LLVMValueRef f = LLVMGetFirstFunction(m); f;
         f = LLVMGetNextFunction(f))
        if (!LLVMIsDeclaration(f) &&
            LLVMGetLinkage(f) == LLVMExternalLinkage)
            LLVMSetVisibility(f, LLVMHiddenVisibility);
}

static bool write_object(Build *b, Err *err)
{
    char path[4096];
    Emit *e = program_emit(b->p);
    emit_verify(e);
    hide(e->module);
    LLVMContextRef ctx;
    LLVMModuleRef m = emit_take(e, &ctx);
    LLVMMemoryBufferRef o = jit_object(b->p->target, m, false);
    const char *suffix = intern_printf("%s.o", b->o->name);
    bool good = file_begin(b, suffix, path, sizeof path, err);
    if (good) {
        fwrite(LLVMGetBufferStart(o), 1, LLVMGetBufferSize(o), b->out);
        good = file_end(b, path, err);
    }
    LLVMDisposeMemoryBuffer(o);
    LLVMDisposeModule(m);
    LLVMContextDispose(ctx);
    return good;
}

/* ---- the program's parts get their places ---- */

/* Functions of two builds may meet in one program. */
static void rename_kernels(Plan *plan, const char *name)
{
    for (int i = 0; i < plan->kernel.n; i++) {
        Kernel *k = plan->kernel.at[i];
        k->name = intern_printf("%s_%s", name, k->name);
    }
    for (int i = 0; i < plan->body.n; i++)
        rename_kernels(plan->body.at[i], name);
}

static void add_column(const Buffer **list, const Buffer *b)
{
    for (int i = 0; i < COLUMNS; i++) {
        if (!list[i])
            list[i] = b;
        if (list[i] == b)
            return;
    }
    BUG("more than %d columns", COLUMNS);
}

/* Inputs in the order in which the graph has them; then what only bodies
 * read. */
static void order_columns(Build *b, const Graph *g)
{
    const Steps *s = &b->p->steps;
    for (int i = 0; i < g->node.n; i++)
        for (int j = 0; j < s->in.n; j++)
            if (g->node.at[i]->op == OP_input &&
                s->in.at[j]->node->name == g->node.at[i]->name)
                add_column(b->in, s->in.at[j]);
    for (int i = 0; i < s->in.n; i++)
        add_column(b->in, s->in.at[i]);
    for (int i = 0; i < s->out.n; i++)
        add_column(b->out_of, s->out.at[i]);
}

/* Does no value need more room with T tokens than with the most? */
static bool values_fit(const Build *b, int64_t T)
{
    const Limits *l = &b->p->limits;
    for (int i = 0; i < l->size.n; i++)
        if (type_count(&l->size.at[i].type, T) >
            type_count(&l->size.at[i].type, b->o->tokens))
            return false;
    return true;
}

/* The fewest tokens of a call: from there to the most all fit the graph. */
static bool find_least(Build *b, Err *err)
{
    Err none;
    b->least = b->o->tokens;
    if (!limits_hold(&b->p->limits, b->least, err))
        return false;
    while (b->least > 1 && values_fit(b, b->least - 1) &&
           limits_hold(&b->p->limits, b->least - 1, &none))
        b->least--;
    return true;
}

static int64_t *places(Build *b, int n)
{
    return arena_alloc(&b->p->arena, (size_t)(n + 1) * sizeof(int64_t));
}

static void place_angles(Build *b)
{
    const Steps *s = &b->p->steps;
    b->angle_at = places(b, s->angle.n);
    for (int i = 0; i < s->angle.n; i++) {
        b->angle_at[i] = b->angle_bytes;
        b->angle_bytes += 4 * b->o->tokens * s->angle.at[i].rope->rotary;
    }
}

static void place_caches(Build *b)
{
    const Steps *s = &b->p->steps;
    b->cache_at = places(b, s->cache.n);
    for (int i = 0; i < s->cache.n; i++) {
        const Buffer *c = s->cache.at[i];
        b->cache_at[i] = b->cache_bytes;
        b->cache_bytes += attend_bytes(b->p->target, &c->type,
                                       c->kind == BUF_keys, b->o->capacity);
        b->cache_bytes = (b->cache_bytes + 63) / 64 * 64;
    }
}

static void place_all(Build *b, const Graph *g)
{
    Program *p = b->p;
    steps_make(&p->steps, &p->arena, p->plan);
    steps_place(&p->steps, b->o->tokens);
    b->weight_at = places(b, p->steps.weight.n);
    order_columns(b, g);
    place_angles(b);
    place_caches(b);
}

const char *build_command(const char *name)
{
    return intern_printf("cc -O2 -fopenmp example.c %s.c %s.o -lm -o example",
                         name, name);
}

bool cpu_build(const Graph *g, const CpuOptions *o, const BuildOptions *bo,
               Err *err)
{
    if (!check(bo, err))
        return false;
    Build b = {.p = program_new(o), .o = bo};
    b.p->o.stored = NULL;
    bool good = program_cut(b.p, g, err) && only_kernels(b.p->plan, err) &&
                find_least(&b, err);
    if (good) {
        rename_kernels(b.p->plan, bo->name);
        place_all(&b, g);
    }
    good = good && write_object(&b, err) &&
           write_text(&b, intern_printf("%s.c", bo->name), build_tables, err) &&
           write_text(&b, intern_printf("%s.h", bo->name), build_header, err) &&
           write_text(&b, "example.c", build_example, err) &&
           build_library(&b, err);
    program_free(b.p);
    return good;
}
