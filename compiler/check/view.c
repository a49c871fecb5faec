/* Models as trees to look at, and definitions on their own with every
 * parameter unknown: what pictures and pages are made from. */
#include "compiler/check/attempt.h"
#include <ctype.h>
#include <string.h>

/* ---- an instance as a tree ---- */

static const char *inst_params(const Inst *inst)
{
    const char *text = "";
    for (int i = 0; i < inst->param.n; i++)
        text = intern_printf("%s%s%s: %s", text, i ? ", " : "",
                             inst->param.at[i].name,
                             val_text(&inst->param.at[i].value));
    return text;
}

static void view_weights(View *v, const Inst *inst, Arena *a)
{
    v->weight = arena_alloc(a, (size_t)(inst->slot.n + 1) * sizeof *v->weight);
    for (int i = 0; i < inst->slot.n; i++) {
        const Slot *s = &inst->slot.at[i];
        if (!s->absent)
            v->weight[v->nweight++] = (ViewWeight){
                s->name, s->w, weight_origin(s->w), s->decl, s->w->value};
    }
}

static void fill(View *v, const Inst *inst, Arena *a);

static void view_part(View *v, const Part *p, int i, Arena *a)
{
    bool one = p->array && p->unrolled && p->n > 0 &&
               size_is_num(p->array->size, NULL);
    *v = (View){.name = one ? intern_printf("%s[%d]", p->name, i) : p->name,
                .array = one ? NULL : p->array, .decl = p->decl};
    fill(v, p->inst[i], a);
}

static void fill(View *v, const Inst *inst, Arena *a)
{
    int n = 0;
    v->path = inst->path;
    v->params = inst_params(inst);
    v->def = inst->def;
    v->fresh = inst->by != NULL;
    view_weights(v, inst, a);
    for (int i = 0; i < inst->part.n; i++)
        n += inst->part.at[i].unrolled ? inst->part.at[i].n : 1;
    v->part = arena_alloc(a, (size_t)(n + 1) * sizeof *v->part);
    for (int i = 0; i < inst->part.n; i++) {
        const Part *p = &inst->part.at[i];
        for (int j = 0; j < (p->unrolled ? p->n : 1); j++)
            view_part(&v->part[v->npart++], p, j, a);
    }
}

static View *view_of(const Inst *inst, const char *name, Arena *a)
{
    View *v = arena_alloc(a, sizeof *v);
    v->name = name;
    fill(v, inst, a);
    return v;
}

View *model_view(const Model *m, Arena *a)
{
    return view_of(m->root, "", a);
}

static void print_inside(FILE *out, const View *v, int depth)
{
    for (int i = 0; i < v->nweight; i++)
        fprintf(out, "%*s%-10s %-24s %s\n", depth * 2, "", v->weight[i].name,
                type_text(&v->weight[i].w->type), v->weight[i].origin);
    for (int i = 0; i < v->npart; i++) {
        const View *part = &v->part[i];
        fprintf(out, "%*s%s", depth * 2, "", part->name);
        if (part->array)
            fprintf(out, "[%s]", part->array->name);
        fprintf(out, ": %s(%s)\n", part->def->text, part->params);
        print_inside(out, part, depth + 1);
    }
}

void view_print(const View *v, FILE *out)
{
    print_inside(out, v, 1);
}

/* Equal but for the numbers in []. */
static bool same_text(const char *a, const char *b)
{
    while (*a && *a == *b)
        if (*a++ == *b++ && a[-1] == '[' && isdigit((unsigned char)*a)) {
            while (isdigit((unsigned char)*a))
                a++;
            while (isdigit((unsigned char)*b))
                b++;
        }
    return *a == *b;
}

/* Origins tell alike weights apart only by what kind they are. */
static bool same_origin(const ViewWeight *a, const ViewWeight *b)
{
    return a->made == b->made && (!a->made || same_text(a->origin, b->origin));
}

static bool same_array(const Dim *a, const Dim *b)
{
    return a == b ||
           (a && b && !strcmp(a->name, b->name) && a->size == b->size);
}

bool view_alike(const View *a, const View *b)
{
    if (a->def != b->def || a->fresh != b->fresh ||
        !same_array(a->array, b->array) || strcmp(a->params, b->params) ||
        a->nweight != b->nweight || a->npart != b->npart)
        return false;
    for (int i = 0; i < a->nweight; i++)
        if (strcmp(a->weight[i].name, b->weight[i].name) ||
            !same_origin(&a->weight[i], &b->weight[i]))
            return false;
    for (int i = 0; i < a->npart; i++)
        if (!same_text(a->part[i].name, b->part[i].name) ||
            !view_alike(&a->part[i], &b->part[i]))
            return false;
    return true;
}

const View *view_find(const View *v, const char *path)
{
    if (!strcmp(v->path, path))
        return v;
    for (int i = 0; i < v->npart; i++) {
        const View *found = view_find(&v->part[i], path);
        if (found)
            return found;
    }
    return NULL;
}

Graph *model_graph_saved(const Model *m, Arena *arena, bool whole)
{
    const Weight *const *w;
    int n = model_weights(m, &w);
    Node **value = xmalloc((size_t)(n + 1) * sizeof *value);
    for (int i = 0; i < n; i++) {
        value[i] = w[i]->value;
        ((Weight *)w[i])->value = NULL;
    }
    Graph *g = whole ? model_graph_whole(m, arena) : model_graph(m, arena);
    for (int i = 0; i < n; i++)
        ((Weight *)w[i])->value = value[i];
    free(value);
    return g;
}

/* ---- definitions on their own ---- */

/* Weights as they will be once saved: leaves, not formulas. */
static void hide_values(Inst *inst, void *user)
{
    (void)user;
    for (int i = 0; i < inst->slot.n; i++)
        inst->slot.at[i].w->value = NULL;
}

static bool sketch(Sketch *k, Model *m, Inst *inst, const char *name)
{
    Graph *g = graph_new(m->arena, inst->def->text);
    *k = (Sketch){name, view_of(inst, inst->path, m->arena), NULL};
    inst_walk(inst, hide_values, NULL);
    Node *y = forward_node(m, g, inst, NULL, true);
    if (!y)
        return false;
    graph_output(g, "y", y);
    k->graph = graph_map(g, m->arena, NULL, NULL);
    return true;
}

static int sketch_transform(Spec *s, const Ast *def, Sketch **out)
{
    const Ast *match = first_of(def, AST_match);
    int n = 0;
    if (!match)
        return 0;
    const Ast *module[MATCHED], *call[MATCHED];
    int matched = matched_modules(s, def, module, call, MATCHED);
    *out = arena_alloc(s->arena, (size_t)(2 * matched + 1) * sizeof **out);
    for (int i = 0; i < matched; i++) {
        const char *name = module[i]->text;
        Attempt t;
        if (!try_pattern(s, def, module[i], call[i], false, &t) ||
            !sketch(&(*out)[n], t.m, t.match, name) ||
            !sketch(&(*out)[n + 1], t.m, t.fresh, name))
            return 0;
        n += 2;
    }
    return n;
}

int spec_sketch(Spec *s, const Ast *def, Sketch **out)
{
    Err err = {""};
    Model *m = symbolic_model(s, def);
    if (def->kind == AST_transform)
        return sketch_transform(s, def, out);
    *out = arena_alloc(s->arena, sizeof **out);
    if (def->kind == AST_module)
        return sketch(*out, m, inst_unknown(m, s, def, def->text, NULL,
                              FOLLOW_formulas), def->text);
    if (def->kind == AST_model && model_fill(m, &err))
        return sketch(*out, m, m->root, def->text);
    return 0;
}

void model_print(const Model *m, FILE *out)
{
    fprintf(out, "%s %s, %s\n", ast_kind_name[m->root->def->kind],
            m->root->def->text, type_info[m->dtype].name);
    for (int i = 0; i < m->root->param.n; i++)
        fprintf(out, "  %s = %s\n", m->root->param.at[i].name,
                val_text(&m->root->param.at[i].value));
    Arena scratch = {0};
    view_print(model_view(m, &scratch), out);
    arena_free(&scratch);
}
