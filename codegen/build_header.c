/* The C header of a built program, and an example that calls it. */
#include "codegen/build.h"
#include <ctype.h>
#include <string.h>

#define SAY(...) fprintf(b->out, __VA_ARGS__)

static const char *c_type(Dtype t)
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
    const Graph *g = b->p->graph;
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

void build_signature(Build *b)
{
    const char *name = b->o->name;
    SAY("int64_t %s_run(%s *m, int64_t T, const int32_t *pos", name, name);
    for (int i = 0; i < 16 && b->in[i]; i++)
        SAY(",\n        const %s *%s", c_type(b->in[i]->type.dtype),
            build_column(b, b->in[i], false));
    for (int i = 0; i < 16 && b->out_of[i]; i++)
        SAY(",\n        %s *%s", c_type(b->out_of[i]->type.dtype),
            build_column(b, b->out_of[i], true));
    SAY(")");
}

static void columns(Build *b)
{
    for (int i = 0; i < 16 && b->in[i]; i++)
        SAY(" *   %s: %s\n", build_column(b, b->in[i], false),
            type_text(&b->in[i]->type));
    for (int i = 0; i < 16 && b->out_of[i]; i++)
        SAY(" *   %s: %s\n", build_column(b, b->out_of[i], true),
            type_text(&b->out_of[i]->type));
}

void build_header(Build *b)
{
    const char *name = b->o->name;
    SAY("/* %s, made by graft. Link %s.c and %s.o, with -lm. */\n"
        "#pragma once\n#include <stdint.h>\n\n", name, name, name);
    SAY("typedef struct %s %s;\n", name, name);
    SAY("typedef struct {\n    const char *tensor; /* its name in a "
        "checkpoint */\n    const char *dtype;  /* f32, bf16, f16 */\n"
        "    int64_t count;      /* elements */\n    int element;        /* "
        "bytes of one */\n    int rank;\n    int64_t shape[8];\n"
        "} %s_Weight;\n", name);
    SAY("enum { %s_weights = %d };\nextern const %s_Weight %s_weight[];\n\n",
        name, b->tensor.n, name, name);
    SAY("/* NULL: no memory. threads 0: one a core. All weights are 0. */\n"
        "%s *%s_new(int threads);\nvoid %s_free(%s *m);\n", name, name, name,
        name);
    SAY("/* The values of weight number `weight`, row-major; copied. */\n"
        "void %s_set(%s *m, int weight, const void *values);\n", name, name);
    SAY("/* One step over T tokens (at most %lld), pos[t] each one's\n"
        " * position in its sequence; they join the %lld that attention\n"
        " * may remember. Returns how many it remembers; -1: they do not\n"
        " * fit, or an index is out of range. Row-major:\n",
        (long long)b->o->tokens, (long long)b->o->capacity);
    columns(b);
    SAY(" */\n");
    build_signature(b);
    SAY(";\n/* Forgets all but the first `length` tokens. */\n"
        "void %s_restart(%s *m, int64_t length);\n", name, name);
}

/* ---- the example ---- */

static void example_columns(Build *b)
{
    for (int i = 0; i < 16 && b->in[i]; i++) {
        const Type *t = &b->in[i]->type;
        SAY("    static %s %s[%lld];\n", c_type(t->dtype),
            build_column(b, b->in[i], false), (long long)type_count(t, 1));
    }
    for (int i = 0; i < 16 && b->out_of[i]; i++) {
        const Type *t = &b->out_of[i]->type;
        SAY("    static %s %s[%lld];\n", c_type(t->dtype),
            build_column(b, b->out_of[i], true), (long long)type_count(t, 1));
    }
}

static void example_call(Build *b)
{
    SAY("    int32_t pos[] = {0};\n    int64_t n = %s_run(m, 1, pos",
        b->o->name);
    for (int i = 0; i < 16 && b->in[i]; i++)
        SAY(", %s", build_column(b, b->in[i], false));
    for (int i = 0; i < 16 && b->out_of[i]; i++)
        SAY(", %s", build_column(b, b->out_of[i], true));
    SAY(");\n");
}

void build_example(Build *b)
{
    const char *name = b->o->name;
    SAY("/* Runs %s on one token, its weights all the same small number:\n"
        " *     cc -O2 -fopenmp example.c %s.c %s.o -lm -o example */\n"
        "#include \"%s.h\"\n#include <stdio.h>\n#include <stdlib.h>\n"
        "#include <string.h>\n\n", name, name, name, name);
    SAY("static void *small_numbers(const %s_Weight *w)\n{\n"
        "    char *v = malloc((size_t)(w->count * w->element) + 1);\n"
        "    const float f = 0.015625f; /* 2^-6, in f32; its upper half is "
        "bf16 */\n    const uint16_t half = 0x2400; /* 2^-6 in f16 */\n"
        "    for (int64_t i = 0; v && i < w->count; i++)\n"
        "        memcpy(v + i * w->element,\n"
        "               !strcmp(w->dtype, \"f16\") ? (const char *)&half\n"
        "               : (const char *)&f + 4 - w->element,\n"
        "               (size_t)w->element);\n    return v;\n}\n\n", name);
    SAY("int main(void)\n{\n    %s *m = %s_new(0);\n    if (!m)\n"
        "        return 1;\n    for (int i = 0; i < %s_weights; i++) {\n"
        "        void *v = small_numbers(&%s_weight[i]);\n        if (!v)\n"
        "            return 1;\n        %s_set(m, i, v);\n        free(v);\n"
        "    }\n", name, name, name, name, name);
    example_columns(b);
    example_call(b);
    SAY("    printf(\"%%lld token, first number of the result: ");
    if (b->out_of[0] && b->out_of[0]->type.dtype == TYPE_f32)
        SAY("%%g\\n\", (long long)n, (double)%s[0]);\n",
            build_column(b, b->out_of[0], true));
    else
        SAY("%%d\\n\", (long long)n, (int)%s[0]);\n",
            build_column(b, b->out_of[0], true));
    SAY("    %s_free(m);\n    return n == 1 ? 0 : 1;\n}\n", name);
}
