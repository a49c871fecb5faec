/* An example that calls a built program: one token, weights all alike. */
#include "codegen/build/build_tables.h"

#define SAY(...) fprintf(b->out, __VA_ARGS__)

static void say_columns(Build *b, const Buffer *const *list, bool out)
{
    for (int i = 0; i < COLUMNS && list[i]; i++) {
        const Type *t = &list[i]->type;
        SAY("    static %s %s[%lld];\n", build_c_type(t->dtype),
            build_column(b, list[i], out), (long long)type_count(t, 1));
    }
}

/* Ones, but for indices. */
static void say_inputs(Build *b)
{
    for (int i = 0; i < COLUMNS && b->in[i]; i++) {
        const Type *t = &b->in[i]->type;
        if (t->index_of)
            continue;
        SAY("    for (int i = 0; i < %lld; i++)\n        %s[i] = %s\n",
            (long long)type_count(t, 1), build_column(b, b->in[i], false),
            t->dtype == TYPE_bf16  ? "0x3f80; /* 1 as bf16 */"
            : t->dtype == TYPE_f16 ? "0x3c00; /* 1 as f16 */"
                                   : "1;");
    }
}

static void say_call(Build *b)
{
    SAY("    int64_t n = %s_run(m, 1", b->o->name);
    if (build_ordered(b))
        SAY(", NULL");
    for (int i = 0; i < COLUMNS && b->in[i]; i++)
        SAY(", %s", build_column(b, b->in[i], false));
    for (int i = 0; i < COLUMNS && b->out_of[i]; i++)
        SAY(", %s", build_column(b, b->out_of[i], true));
    SAY(");\n");
}

static void small_numbers(Build *b)
{
    SAY("static void *small_numbers(const %s_Weight *w)\n{\n"
        "    char *v = malloc((size_t)(w->count * w->element) + 1);\n"
        "    const float f = 0.015625f; /* 2^-6, in f32; its upper half is "
        "bf16 */\n    const uint16_t half = 0x2400; /* 2^-6 in f16 */\n"
        "    for (int64_t i = 0; v && i < w->count; i++)\n"
        "        memcpy(v + i * w->element,\n"
        "               !strcmp(w->dtype, \"f16\") ? (const char *)&half\n"
        "               : (const char *)&f + 4 - w->element,\n"
        "               (size_t)w->element);\n    return v;\n}\n\n",
        b->o->name);
}

void build_example(Build *b)
{
    const char *name = b->o->name;
    SAY("/* Runs %s on one token, its weights all the same small number:\n"
        " *     %s */\n"
        "#include \"%s.h\"\n#include <stdio.h>\n#include <stdlib.h>\n"
        "#include <string.h>\n\n", name, build_command(name), name);
    small_numbers(b);
    SAY("int main(void)\n{\n    %s *m = %s_new(0);\n    if (!m)\n"
        "        return 1;\n    for (int i = 0; i < %s_weights; i++) {\n"
        "        void *v = small_numbers(&%s_weight[i]);\n"
        "        if (!v || %s_set(m, i, v))\n"
        "            return 1;\n        free(v);\n    }\n",
        name, name, name, name, name);
    say_columns(b, b->in, false);
    say_columns(b, b->out_of, true);
    say_inputs(b);
    say_call(b);
    SAY("    printf(\"%%lld token, first number of the result: ");
    if (b->out_of[0] && b->out_of[0]->type.dtype == TYPE_f32)
        SAY("%%g\\n\", (long long)n, (double)%s[0]);\n",
            build_column(b, b->out_of[0], true));
    else
        SAY("%%d\\n\", (long long)n, (int)%s[0]);\n",
            build_column(b, b->out_of[0], true));
    SAY("    %s_free(m);\n    return n == 1 ? 0 : 1;\n}\n", name);
}
