/* The C header of a built program. */
#include "codegen/build/build_tables.h"
#include <ctype.h>
#include <string.h>

#define SAY(...) fprintf(b->out, __VA_ARGS__)

const char *build_c_type(Dtype t)
{
    switch (t) {
    case TYPE_f32: return "float";
    case TYPE_f64: return "double";
    case TYPE_i32: return "int32_t";
    case TYPE_bf16:
    case TYPE_f16: return "uint16_t";
    default: return "uint8_t";
    }
}

/* The parameter's name: a C identifier of the column's. */
const char *build_column(const Build *b, const Buffer *c, bool out)
{
    const char *name = out ? "y" : c->node->name;
    const Graph *g = b->p->plan->graph;
    for (int i = 0; out && i < g->output.n; i++)
        if (g->output.at[i].node == c->node)
            name = g->output.at[i].name;
    char text[80];
    snprintf(text, sizeof text, "%s_%.60s", out ? "out" : "in", name);
    for (char *p = text; *p; p++)
        if (!isalnum((unsigned char)*p))
            *p = '_';
    return intern(text);
}

bool build_ordered(const Build *b)
{
    return b->cache_bytes > 0 || b->angle_bytes > 0;
}

void build_signature(Build *b)
{
    const char *name = b->o->name;
    SAY("int64_t %s_run(%s *m, int64_t T%s", name, name,
        build_ordered(b) ? ", const int32_t *pos" : "");
    for (int i = 0; i < COLUMNS && b->in[i]; i++)
        SAY(",\n        const %s *%s", build_c_type(b->in[i]->type.dtype),
            build_column(b, b->in[i], false));
    for (int i = 0; i < COLUMNS && b->out_of[i]; i++)
        SAY(",\n        %s *%s", build_c_type(b->out_of[i]->type.dtype),
            build_column(b, b->out_of[i], true));
    SAY(")");
}

/* "bf16[T, D = 64]"; of indices what they are below. */
static void say_type(Build *b, const Type *t, int from)
{
    SAY("%s[", type_info[t->dtype].name);
    for (int i = from; i < t->rank; i++) {
        const char *size = size_text(t->dim[i]->size);
        SAY("%s%s", i > from ? ", " : "", t->dim[i]->name);
        if (strcmp(size, t->dim[i]->name))
            SAY(" = %s", size);
    }
    SAY("]");
    if (t->index_of)
        SAY(", each below %s", size_text(t->index_of->size));
}

static void columns(Build *b, const Buffer *const *list, bool out)
{
    for (int i = 0; i < COLUMNS && list[i]; i++) {
        SAY(" *     %s: ", build_column(b, list[i], out));
        say_type(b, &list[i]->type, 0);
        SAY("\n");
    }
}

/* The first weights, one line for all of a stack. */
static void weights(Build *b)
{
    enum { LINES = 40 };
    int said = 0, left = 0;
    for (int i = 0; i < b->tensor.n; i++) {
        const Given *g = &b->tensor.at[i];
        if (g->index)
            continue;
        if (said++ >= LINES) {
            left++;
            continue;
        }
        Type t = g->weight->type;
        t.dtype = g->dtype;
        SAY(" *     %s: ", text_comment(g->weight->file));
        say_type(b, &t, g->weight->stacked);
        for (int j = 0; j < g->weight->stacked; j++)
            SAY(", {} below %s", size_text(t.dim[j]->size));
        SAY("\n");
    }
    if (left)
        SAY(" *     and %d more: %s_weight lists all\n", left, b->o->name);
}

static void head(Build *b)
{
    const char *name = b->o->name;
    const Target *t = b->p->target;
    SAY("/* %s, made by graft for %s%s.\n *\n"
        " * Link %s.c and %s.o, or lib%s if there is one, with -lm, and with\n"
        " * -fopenmp for more threads. Arrays are row-major and the caller's;\n"
        " * they need no alignment. bf16 is the upper half of a float, f16 is\n"
        " * IEEE's half; both are uint16_t here. Several objects may run side\n"
        " * by side, each one call at a time. */\n"
        "#pragma once\n#include <stdint.h>\n"
        "#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n",
        text_comment(b->p->plan->graph->name), target_text(t),
        t->features == target_host()->features
            ? "\n * with all that the CPU has which it was made on" : "",
        name, name, name);
}

static void life(Build *b)
{
    const char *name = b->o->name;
    SAY("typedef struct %s %s;\n"
        "/* threads 0: one a core. All weights are 0. NULL: no memory, or\n"
        " * this CPU lacks what the code was made for. */\n"
        "%s *%s_new(int threads);\nvoid %s_free(%s *m); /* NULL is fine */\n"
        "\n", name, name, name, name, name, name);
}

static void weight_functions(Build *b)
{
    const char *name = b->o->name;
    SAY("/* The weights that it wants, by their names in a checkpoint:\n");
    weights(b);
    SAY(" */\ntypedef struct {\n    const char *tensor, *dtype; /* \"f32\", "
        "\"bf16\", \"f16\" */\n    int64_t count;              /* elements "
        "*/\n    int element;                /* bytes of one */\n"
        "    int rank;\n    int64_t shape[8];\n} %s_Weight;\n", name);
    SAY("enum { %s_weights = %d };\n"
        "extern const %s_Weight %s_weight[]; /* a NULL tensor ends it */\n",
        name, b->tensor.n, name, name);
    SAY("/* The number of a tensor; -1: it wants none of that name. */\n"
        "int %s_find(const char *tensor);\n"
        "/* Copies a weight's values, shape as said above. 0: done; -1: no\n"
        " * such number, or no memory. */\n"
        "int %s_set(%s *m, int weight, const void *values);\n\n",
        name, name, name);
}

static void run_text(Build *b)
{
    bool indices = false;
    for (int i = 0; i < COLUMNS && b->in[i]; i++)
        indices |= b->in[i]->type.index_of != NULL;
    SAY("/* One step over T tokens, %lld to %lld", (long long)b->least,
        (long long)b->o->tokens);
    if (build_ordered(b))
        SAY(", pos[t] each one's position in its\n"
            " * sequence (NULL: they go on where the last step ended)");
    SAY(".\n");
    columns(b, b->in, false);
    columns(b, b->out_of, true);
    if (b->cache_bytes)
        SAY(" * Attention remembers up to %lld tokens. Returns how many it\n"
            " * remembers now", (long long)b->o->capacity);
    else
        SAY(" * Returns T");
    SAY("; -1, and nothing is changed: T%s%s is out of range%s. */\n",
        build_ordered(b) ? ", a position" : "", indices ? ", an index" : "",
        b->cache_bytes ? ",\n * or there is no room" : "");
}

void build_header(Build *b)
{
    const char *name = b->o->name;
    head(b);
    life(b);
    weight_functions(b);
    run_text(b);
    build_signature(b);
    SAY(";\n");
    if (b->cache_bytes)
        SAY("/* Forgets all but the first `length` tokens. */\n"
            "void %s_restart(%s *m, int64_t length);\n", name, name);
    SAY("\n#ifdef __cplusplus\n}\n#endif\n");
}
