/* graft list: what the library or a file has: models, transforms, recipes and
 * modules, each with its parameters and the comment above it. */
#include "cli/cli.h"
#include "cli/driver/driver.h"
#include <string.h>

typedef struct {
    const char *file;
    Common common;
} List;

static error_t key(int k, char *arg, struct argp_state *state)
{
    List *l = state->input;
    if (k != ARGP_KEY_ARG)
        return ARGP_ERR_UNKNOWN;
    if (l->file)
        argp_error(state, "list takes one file");
    l->file = arg;
    return 0;
}

static const struct argp argp = {
    NULL, key, "[FILE.graft]",
    "List the models, transforms, recipes and modules of the library, or of a "
    "file and what it uses: parameters with their defaults, and what the "
    "comment above each says first.",
    NULL, NULL, NULL};

static const struct {
    AstKind kind;
    const char *title, *key;
} kinds[] = {
    {AST_model, "models (the architectures they read)", "models"},
    {AST_transform, "transforms (graft apply NAME MODEL -o OUT)",
     "transforms"},
    {AST_recipe, "recipes", "recipes"},
    {AST_module, "modules", "modules"},
};

/* "D, F, E = 8, other: model[N]" */
static const char *params_of(Arena *a, const Ast *def)
{
    const Ast *params = def->nkid ? def->kid[0] : NULL;
    const char *text = "";
    for (int i = 0; params && params->kind == AST_params && i < params->nkid;
         i++) {
        const Ast *p = params->kid[i], *v = p->nkid ? p->kid[0] : NULL;
        const char *rest = "";
        if (p->kind == AST_param_model)
            rest = v ? arena_printf(a, ": model[%s]", v->text) : ": model";
        else if (p->kind == AST_param_module)
            rest = v ? arena_printf(a, ": module = %s", v->text) : ": module";
        else if (v)
            rest = arena_printf(a, " = %s", dsl_expr_text(a, v));
        text = arena_printf(a, "%s%s%s%s", text, i ? ", " : "", p->text, rest);
    }
    return text;
}

/* The architectures that a model's config names. */
static const char *reads(Arena *a, const Ast *def)
{
    const char *text = "";
    for (int i = 0; i < def->nkid; i++) {
        const Ast *c = def->kid[i];
        for (int j = 0; c->kind == AST_config && c->kid[0] &&
                        j < c->kid[0]->nkid; j++)
            text = arena_printf(a, "%s%s%s", text, *text ? ", " : "",
                                c->kid[0]->kid[j]->text);
    }
    return text;
}

/* Where the line before `at` begins; -1: it is the first. */
static int line_before(const char *text, int at)
{
    if (!at)
        return -1;
    for (at--; at > 0 && text[at - 1] != '\n'; at--)
        ;
    return at;
}

/* The first sentence of the comment that stands right above, or "". */
static const char *comment_of(Arena *a, const Ast *def)
{
    const char *text = def->src->text, *all = "";
    int at = def->loc.at, first = -1;
    while (at > 0 && text[at - 1] != '\n')
        at--;
    for (int up = line_before(text, at); up >= 0 && text[up] == '#';
         up = line_before(text, up))
        first = up;
    if (first < 0 && def->kind == AST_model && *text == '#')
        first = 0, at = (int)strcspn(text, "\n") + 1; /* its file's */
    while (first >= 0 && first < at) {
        int n = (int)strcspn(text + first, "\n");
        int skip = (int)strspn(text + first, "# ");
        all = arena_printf(a, "%s%s%.*s", all, *all ? " " : "",
                           skip < n ? n - skip : 0, text + first + skip);
        first += n + 1;
    }
    const char *end = strstr(all, ". ");
    size_t n = end ? (size_t)(end - all) : strlen(all);
    if (n && all[n - 1] == '.')
        n--;
    return arena_strn(a, all, n);
}

static cJSON *as_json(Arena *a, const Ast *def)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "name", def->text);
    cJSON_AddStringToObject(o, "parameters", params_of(a, def));
    if (def->kind == AST_model)
        cJSON_AddStringToObject(o, "reads", reads(a, def));
    cJSON_AddStringToObject(o, "about", comment_of(a, def));
    cJSON_AddStringToObject(o, "file", def->src->path);
    return o;
}

static void print(Arena *a, const Ast *def)
{
    const char *about = comment_of(a, def);
    const char *head = def->kind == AST_model
                           ? arena_printf(a, "%s  %s", def->text, reads(a, def))
                           : arena_printf(a, "%s(%s)", def->text,
                                          params_of(a, def));
    printf("  %s\n", head);
    if (*about)
        printf("      %s\n", about);
}

static void say_kind(Arena *a, const Ast *const *def, int n, int kind,
                     cJSON *out)
{
    cJSON *list = out ? cJSON_AddArrayToObject(out, kinds[kind].key) : NULL;
    bool any = false;
    for (int i = 0; i < n; i++) {
        if (def[i]->kind != kinds[kind].kind)
            continue;
        if (!any && !out)
            printf("%s\n", kinds[kind].title);
        any = true;
        if (out)
            cJSON_AddItemToArray(list, as_json(a, def[i]));
        else
            print(a, def[i]);
    }
}

int command_list(int argc, char **argv)
{
    List l = {0};
    Arena a = {0};
    Diags diags = {0};
    Err err;
    options_parse(&argp, argc, argv, &l, &l.common);
    Spec *spec = spec_open(&a, &diags, l.file ? l.file : "library", &err);
    if (!spec) {
        int status = report_error(&l.common, &err);
        diags_free(&diags);
        arena_free(&a);
        return status;
    }
    const Ast *const *def;
    int n = spec_definitions(spec, &def);
    cJSON *out = l.common.json ? cJSON_CreateObject() : NULL;
    for (size_t i = 0; i < COUNT(kinds); i++)
        say_kind(&a, def, n, (int)i, out);
    if (out)
        report_json(out);
    diags_free(&diags);
    arena_free(&a);
    return report_end(EXIT_done);
}
