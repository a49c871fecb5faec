/* What may stand at a place: after `.` the parts of a module, else names of
 * the definition around it, of the file, built-in functions and words. */
#include "cli/lsp/server.h"
#include <ctype.h>
#include <string.h>

/* Kinds of the protocol. */
enum {
    ITEM_function = 3,
    ITEM_field = 5,
    ITEM_variable = 6,
    ITEM_class = 7,
    ITEM_file = 17,
    ITEM_word = 14
};

typedef struct {
    cJSON *list;
    int kind;
} Items;

static void add(const Items *to, const char *name, int kind,
                const char *detail)
{
    const cJSON *one;
    cJSON_ArrayForEach(one, to->list) if (!strcmp(
        cJSON_GetObjectItem(one, "label")->valuestring, name)) return;
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "label", name);
    cJSON_AddNumberToObject(o, "kind", kind);
    if (detail)
        cJSON_AddStringToObject(o, "detail", detail);
    cJSON_AddItemToArray(to->list, o);
}

static bool is_part_of_name(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

static void add_member(void *user, const Ast *decl, const char *name)
{
    const Items *to = user;
    Arena scratch = {0};
    bool part = decl->kind == AST_part;
    const char *detail = part ? dsl_expr_text(&scratch, decl->kid[1])
                              : ast_kind_name[decl->kind];
    add(to, name, to->kind, detail);
    arena_free(&scratch);
}

/* The definition whose text holds the place, as it was last understood. */
static const Ast *around(const Analysis *a, int at)
{
    const Ast *def = NULL;
    for (int i = 0; a->tree && i < a->tree->nkid; i++)
        if (a->tree->kid[i]->loc.at <= at)
            def = a->tree->kid[i];
    return def;
}

/* The module of an array or a part of that name. */
static const Ast *module_of(const Analysis *a, const Ast *def,
                            const char *name)
{
    Found f = def ? analysis_member(def, name) : (Found){0};
    if (f.at && f.at->kind == AST_part && f.at->kid[1]->kid[0]->text)
        return spec_find(a->spec, AST_module, f.at->kid[1]->kid[0]->text);
    if (f.at && f.at->kind == AST_match)
        return spec_find(a->spec, AST_module,
                         f.at->kid[0]->kid[0]->kid[0]->text);
    return NULL;
}

/* `a.b[i].` before the place: the module it is of. The text need not be whole:
 * only names, dots and brackets are looked at. */
static const Ast *module_before(const Analysis *a, const Ast *def,
                                const char *text, int dot)
{
    int end = dot, begin;
    while (end > 0 && text[end - 1] == ']') {
        while (end > 0 && text[end - 1] != '[')
            end--;
        end -= end > 0;
    }
    for (begin = end; begin > 0 && is_part_of_name(text[begin - 1]);)
        begin--;
    if (begin == end)
        return NULL;
    if (begin > 0 && text[begin - 1] == '.')
        def = module_before(a, def, text, begin - 1);
    return module_of(a, def, intern_n(text + begin, (size_t)(end - begin)));
}

static void add_assigned(const Items *to, const Ast *e, int at)
{
    for (int i = 0; e && i < e->nkid; i++) {
        const Ast *k = e->kid[i];
        if (!k || k->loc.at > at)
            continue;
        for (int j = 0; k->kind == AST_assign && j < k->kid[0]->nkid; j++)
            add(to, k->kid[0]->kid[j]->text, ITEM_variable, NULL);
        if (k->kind == AST_forward)
            analysis_members(k, add_member, (void *)to);
        if (k->kind == AST_for)
            add(to, k->text, ITEM_variable, NULL);
        add_assigned(to, k, at);
    }
}

static void add_definitions(const Items *to, const Analysis *a)
{
    const Ast *const *def;
    int n = spec_definitions(a->spec, &def);
    for (int i = 0; i < n; i++)
        if (def[i]->text && def[i]->kind != AST_rule &&
            def[i]->kind != AST_prove)
            add(to, def[i]->text, ITEM_class, ast_kind_name[def[i]->kind]);
}

static const char *const words[] = {
#define WORD(token, text) text,
#include "dsl/words.def"
#undef WORD
};

/* Does the line up to the place begin with `use`? */
static bool after_use(const char *text, int at)
{
    while (at > 0 && text[at - 1] != '\n')
        at--;
    return !strncmp(text + at, "use ", 4);
}

cJSON *answer_completion(const Document *d, int at)
{
    Items to = {cJSON_CreateArray(), ITEM_field};
    const char *text = d->text;
    const Ast *def = around(d->now, at);
    int begin = at;
    while (begin > 0 && is_part_of_name(text[begin - 1]))
        begin--;
    if (begin > 0 && text[begin - 1] == '.') {
        def = module_before(d->now, def, text, begin - 1);
        if (def)
            analysis_members(def, add_member, &to);
        return to.list;
    }
    if (after_use(text, at)) {
        for (int i = 0; spec_library_name(i); i++)
            add(&to, spec_library_name(i), ITEM_file, "library");
        return to.list;
    }
    if (def) {
        to.kind = ITEM_variable;
        analysis_members(def, add_member, &to);
        add_assigned(&to, def, at);
    }
    add_definitions(&to, d->now);
    for (int i = 0; builtin_name(i); i++)
        add(&to, builtin_name(i), ITEM_function, "built in");
    for (size_t i = 0; i < COUNT(words); i++)
        add(&to, words[i], ITEM_word, NULL);
    return to.list;
}
