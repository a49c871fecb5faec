/* model.graft: the definitions that a model needs, in one text, whatever files
 * and folders they came from. */
#include "compiler/lang/written.h"
#include <ctype.h>
#include <string.h>

typedef struct {
    const Ast *tree; /* under the name it has here */
    const char *text;
} Item;

typedef struct {
    const Spec *spec;
    AstKind kind;
    const char *from, *to;
} Rename;

struct ModelText {
    Arena arena;
    LIST(Item) item;
    LIST(Rename) rename;
};

ModelText *defs_new(const Model *m)
{
    (void)m;
    ModelText *t = xmalloc(sizeof *t);
    *t = (ModelText){0};
    return t;
}

void defs_free(ModelText *t)
{
    arena_free(&t->arena);
    free(t);
}

/* ---- definitions that are alike ---- */

/* The length of a name without `__2`. */
static size_t plain_length(const char *name)
{
    size_t n = strlen(name), end = n;
    while (end && isdigit((unsigned char)name[end - 1]))
        end--;
    bool numbered = end < n && end > 2 && name[end - 1] == '_' &&
                    name[end - 2] == '_';
    return numbered ? end - 2 : n;
}

static bool alike_text(const char *a, const char *b)
{
    if (!a || !b || a == b)
        return a == b;
    size_t n = plain_length(a);
    return n == plain_length(b) && !strncmp(a, b, n);
}

bool def_alike(const Ast *a, const Ast *b)
{
    if (!a || !b || a == b)
        return a == b;
    if (a->kind != b->kind || a->nkid != b->nkid || a->num != b->num ||
        !alike_text(a->text, b->text))
        return false;
    for (int i = 0; i < a->nkid; i++)
        if (!def_alike(a->kid[i], b->kid[i]))
            return false;
    return true;
}

/* ---- renaming ---- */

static const char *renamed(const ModelText *t, const Spec *spec, AstKind kind,
                           const char *name)
{
    for (int i = 0; i < t->rename.n; i++) {
        const Rename *r = &t->rename.at[i];
        if (r->spec == spec && r->kind == kind && !strcmp(r->from, name))
            return r->to;
    }
    return name;
}

/* Which kind of definition a name means by the word or sign before it. */
static bool means(const char *before, AstKind *kind)
{
    static const struct {
        const char *word;
        AstKind kind;
    } words[] = {{"module", AST_module}, {"transform", AST_transform},
                 {"model", AST_model},   {":", AST_module},
                 {"with", AST_module},   {"or", AST_module}};
    for (size_t i = 0; i < COUNT(words); i++)
        if (!strcmp(before, words[i].word)) {
            *kind = words[i].kind;
            return true;
        }
    return false;
}

/* How long what stands at s is: a word, a comment, a string, else a byte. */
static size_t piece(const char *s)
{
    size_t n = 1;
    if (*s == '#')
        return strcspn(s, "\n");
    if (*s == '"') {
        while (s[n] && s[n] != '"' && s[n] != '\n')
            n += s[n] == '\\' && s[n + 1] ? 2 : 1;
        return n + (s[n] == '"');
    }
    while ((isalnum((unsigned char)*s) || *s == '_') &&
           (isalnum((unsigned char)s[n]) || s[n] == '_'))
        n++;
    return n;
}

/* The text with what the spec's renames say. */
static const char *with_renames(ModelText *t, const Spec *spec,
                                const char *text)
{
    char *out;
    size_t len;
    FILE *f = open_memstream(&out, &len);
    const char *before = "";
    for (size_t n; *text; text += n) {
        AstKind kind;
        n = piece(text);
        const char *word = intern_n(text, n);
        bool named = isalpha((unsigned char)*text) || *text == '_';
        fputs(named && means(before, &kind) ? renamed(t, spec, kind, word)
                                            : word, f);
        if (!isspace((unsigned char)*text) && *text != '#')
            before = word;
    }
    fclose(f);
    const char *kept = arena_strn(&t->arena, out, len);
    free(out);
    return kept;
}

/* ---- adding ---- */

static const char *text_of(ModelText *t, const Ast *def)
{
    Ast *kid[] = {(Ast *)def};
    Ast file = {.kind = AST_file, .src = def->src, .kid = kid, .nkid = 1};
    char *text = dsl_format(&file);
    const char *kept = arena_strn(&t->arena, text, strlen(text));
    free(text);
    return kept;
}

static Item item_of(ModelText *t, const Spec *spec, const Ast *def)
{
    Item item = {def, text_of(t, def)};
    bool any = false;
    for (int i = 0; i < t->rename.n; i++)
        any |= t->rename.at[i].spec == spec;
    if (!any)
        return item;
    Diags quiet = {.quiet = true};
    Source *src = arena_alloc(&t->arena, sizeof *src);
    item.text = with_renames(t, spec, item.text);
    *src = (Source){def->src->path, item.text, (int)strlen(item.text), &quiet};
    Ast *file = dsl_parse(&t->arena, src);
    if (quiet.errors || file->nkid != 1)
        BUG("a renamed text cannot be read: %s", item.text);
    diags_free(&quiet);
    item.tree = file->kid[0];
    return item;
}

static const Item *find(const ModelText *t, AstKind kind, const char *name)
{
    for (int i = 0; i < t->item.n; i++)
        if (t->item.at[i].tree->kind == kind &&
            !strcmp(t->item.at[i].tree->text, name))
            return &t->item.at[i];
    return NULL;
}

/* A name that nothing has, or only what is alike. */
static const char *other_name(ModelText *t, const Ast *def, const char *plain)
{
    for (int i = 2;; i++) {
        const char *name = intern_printf("%.*s__%d", (int)plain_length(plain),
                                         plain, i);
        const Item *old = find(t, def->kind, name);
        if (!old || def_alike(old->tree, def))
            return name;
    }
}

/* False: it had to be renamed, which what was added before may have to know. */
static bool add(ModelText *t, const Spec *spec, const Ast *def)
{
    Item item = item_of(t, spec, def);
    const Item *old = find(t, item.tree->kind, item.tree->text);
    if (!old) {
        list_push(&t->arena, &t->item, item);
        return true;
    }
    if (dsl_equal(old->tree, item.tree))
        return true;
    const char *to = other_name(t, item.tree, def->text);
    for (int i = 0; i < t->rename.n; i++) {
        Rename *r = &t->rename.at[i];
        if (r->spec == spec && r->kind == def->kind &&
            !strcmp(r->from, def->text)) {
            bool same = !strcmp(r->to, to);
            r->to = to;
            return same;
        }
    }
    list_push(&t->arena, &t->rename,
              (Rename){spec, def->kind, def->text, to});
    return false;
}

static bool for_reading(const Ast *def)
{
    return def->kind == AST_module || def->kind == AST_model ||
           def->kind == AST_transform;
}

static bool add_files(ModelText *t, const Spec *spec, const Trees *needs)
{
    bool same = true;
    for (int i = 0; i < spec->file.n; i++)
        for (int j = 0; j < needs->n; j++)
            for (int k = 0; needs->at[j] == spec->file.at[i] &&
                            k < needs->at[j]->nkid; k++)
                if (for_reading(needs->at[j]->kid[k]))
                    same &= add(t, spec, needs->at[j]->kid[k]);
    return same;
}

void defs_add(ModelText *t, const Spec *spec, const Ast *def)
{
    Trees needs = spec_needs(spec, def);
    int before = t->item.n;
    while (!add_files(t, spec, &needs))
        t->item.n = before;
}

const char *defs_name(const ModelText *t, const Spec *spec, const Ast *def)
{
    return renamed(t, spec, def->kind, def->text);
}

char *defs_print(const ModelText *t)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    for (int i = 0; i < t->item.n; i++)
        fprintf(out, "%s%s", i ? "\n" : "", t->item.at[i].text);
    fclose(out);
    return text;
}
