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

static const Buffer **column_of(Build *b, const Buffer *buffer, bool out)
{
    const Buffer **list = out ? b->out_of : b->in;
    for (int i = 0; i < COLUMNS; i++) {
        if (!list[i])
            list[i] = buffer;
        if (list[i] == buffer ||
            (!out && list[i]->node->name == buffer->node->name))
            return &list[i];
    }
    BUG("more than %d columns", COLUMNS);
}

/* Inputs in the order in which the graph has them. */
static void order_inputs(Build *b, const Graph *g)
{
    const Plan *plan = b->p->plan;
    for (int i = 0; i < g->node.n; i++)
        for (int j = 0; j < plan->buffer.n; j++) {
            const Buffer *buffer = plan->buffer.at[j];
            if (g->node.at[i]->op == OP_input && buffer->kind == BUF_input &&
                buffer->node->name == g->node.at[i]->name)
                column_of(b, buffer, false);
        }
}

/* Addresses that only say which column is meant: inputs, then outputs. */
static void set_columns(Build *b, Instance *in)
{
    bool top = !in->parent;
    for (int i = 0; i < in->plan->buffer.n; i++) {
        const Buffer *buffer = in->plan->buffer.at[i];
        bool input = buffer->kind == BUF_input &&
                     (top || buffer->node->name != intern("x"));
        if (input)
            in->at[i] = &b->column[column_of(b, buffer, false) - b->in];
        else if (top && buffer->kind == BUF_output)
            in->at[i] = &b->column[COLUMNS + (column_of(b, buffer, true) -
                                              b->out_of)];
    }
}

static void place_angles(Build *b)
{
    Program *p = b->p;
    b->angle_at = arena_alloc(&p->arena, (size_t)(p->rope.n + 1) * 8);
    for (int i = 0; i < p->rope.n; i++) {
        b->angle_at[i] = b->angle_bytes;
        b->angle_bytes += 4 * b->o->tokens * p->rope.at[i]->rope->rotary;
    }
}

static void place_caches(Build *b)
{
    Program *p = b->p;
    b->cache_at = arena_alloc(&p->arena, (size_t)(2 * p->ncaches + 1) * 8);
    for (int i = 0; i < 2 * p->ncaches; i++) {
        const Buffer *c = i & 1 ? p->cache[i / 2].vals : p->cache[i / 2].keys;
        b->cache_at[i] = b->cache_bytes;
        b->cache_bytes += attend_bytes(p->target, &c->type, !(i & 1),
                                       b->o->capacity);
        b->cache_bytes = (b->cache_bytes + 63) / 64 * 64;
    }
}

void program_flow(Program *p, int64_t T);

static bool place_all(Build *b, const Graph *g, Err *err)
{
    Program *p = b->p;
    program_ready(p);
    if (!program_memory(p, b->o->tokens, err))
        return false;
    order_inputs(b, g);
    for (int i = 0; i < p->instance.n; i++)
        set_columns(b, p->instance.at[i]);
    program_flow(p, b->o->tokens);
    place_angles(b);
    place_caches(b);
    return true;
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
    bool good = program_cut(b.p, g, err) && only_kernels(b.p->plan, err);
    if (good)
        rename_kernels(b.p->plan, bo->name);
    good = good && write_object(&b, err) && place_all(&b, g, err) &&
           write_text(&b, intern_printf("%s.c", bo->name), build_tables, err) &&
           write_text(&b, intern_printf("%s.h", bo->name), build_header, err) &&
           write_text(&b, "example.c", build_example, err) &&
           build_library(&b, err);
    program_free(b.p);
    return good;
}
