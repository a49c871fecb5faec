/* What a model is written as: its config.json, and the text that a folder
 * carries where no architecture that others know holds it. */
#include "compiler/lang/config.h"
#include <string.h>

/* ---- fields that transforms set ---- */

static cJSON *json_of(Scope *s, const Ast *e)
{
    if (e->kind == AST_list) {
        cJSON *list = cJSON_CreateArray();
        for (int i = 0; i < e->nkid; i++)
            cJSON_AddItemToArray(list, json_of(s, e->kid[i]));
        return list;
    }
    Val v = eval(s, e);
    return json_of_val(&v);
}

cJSON *json_of_val(const Val *v)
{
    double n;
    switch (v->kind) {
    case V_size:   return size_is_num(v->size, &n) ? cJSON_CreateNumber(n)
                                                   : cJSON_CreateNull();
    case V_bool:   return cJSON_CreateBool(v->truth);
    case V_string: return cJSON_CreateString(v->string);
    case V_json:   return cJSON_Duplicate(v->json, true);
    default:       return cJSON_CreateNull();
    }
}

static void alive_in(Inst *inst, void *user)
{
    const Applied **a = user;
    if (inst->by == *a)
        *a = NULL;
}

/* Is a module that it put in still there? (A transform that replaces nothing
 * leaves nothing to describe.) */
bool applied_alive(const Model *m, const Applied *a)
{
    const Applied *look = a;
    inst_walk(m->root, alive_in, &look);
    return !look;
}

/* In the place of the old one, so that the fields keep their order. */
void json_set(cJSON *o, const char *name, cJSON *v)
{
    if (cJSON_GetObjectItemCaseSensitive(o, name))
        cJSON_ReplaceItemInObjectCaseSensitive(o, name, v);
    else
        cJSON_AddItemToObject(o, name, v);
}

static void set_field(cJSON *config, cJSON *base, const char *name, cJSON *v)
{
    const cJSON *old = cJSON_GetObjectItemCaseSensitive(config, name);
    if (!cJSON_GetObjectItemCaseSensitive(base, name))
        cJSON_AddItemToObject(base, name, old ? cJSON_Duplicate(old, true)
                                              : cJSON_CreateNull());
    json_set(config, name, v);
}

static void config_block(const Model *m, const Applied *a, cJSON *config,
                         cJSON *base)
{
    Model copy = *m;
    Scope s = {.spec = a->spec, .model = &copy, .g = m->weights};
    s.local = names_copy(m->arena, &a->scope);
    for (int i = 0; i < a->def->nkid; i++) {
        const Ast *c = a->def->kid[i];
        for (int j = 1; c && c->kind == AST_config && j < c->nkid; j++)
            if (c->kid[j]->kind == AST_field)
                set_field(config, base, c->kid[j]->text,
                          json_of(&s, c->kid[j]->kid[0]));
    }
}

static cJSON *applied_json(const Applied *a)
{
    cJSON *o = cJSON_CreateObject(), *p = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "name", a->name);
    for (int i = 0; i < a->param.n; i++)
        cJSON_AddItemToObject(p, a->param.at[i].name,
                              json_of_val(&a->param.at[i].value));
    cJSON_AddItemToObject(o, "parameters", p);
    return o;
}

static bool same_names(const Names *a, const Names *b)
{
    if (a->n != b->n)
        return false;
    for (int i = 0; i < a->n; i++)
        if (strcmp(val_text(&a->at[i].value), val_text(&b->at[i].value)))
            return false;
    return true;
}

static bool same_tree(const Inst *a, const Inst *b)
{
    if (!dsl_equal(a->def, b->def) || !same_names(&a->param, &b->param) ||
        strcmp(a->file, b->file) || a->slot.n != b->slot.n ||
        a->part.n != b->part.n)
        return false;
    for (int i = 0; i < a->slot.n; i++)
        if (strcmp(a->slot.at[i].w->file, b->slot.at[i].w->file))
            return false;
    for (int i = 0; i < a->part.n; i++) {
        const Part *p = &a->part.at[i], *q = &b->part.at[i];
        if (p->n != q->n)
            return false;
        for (int j = 0; j < (p->unrolled ? p->n : 1); j++)
            if (!same_tree(p->inst[j], q->inst[j]))
                return false;
    }
    return true;
}

/* Are its modules those of the model's text again, whatever came between? */
static bool is_base(const Model *m)
{
    Model *fresh = model_new(m->arena, m->spec, m->root->def, m->dtype);
    Err err;
    fresh->config = m->config;
    return model_fill(fresh, &err) && same_tree(m->root, fresh->root);
}

/* Fields that a transform set whose modules are gone. */
static void drop_fields(const Applied *a, cJSON *config)
{
    for (int i = 0; i < a->def->nkid; i++) {
        const Ast *c = a->def->kid[i];
        for (int j = 1; c && c->kind == AST_config && j < c->nkid; j++)
            if (strcmp(c->kid[j]->text, "architectures") &&
                strcmp(c->kid[j]->text, "model_type"))
                cJSON_DeleteItemFromObjectCaseSensitive(config,
                                                        c->kid[j]->text);
    }
}

/* Fields that are set and that code of this class would pass over. */
static int lost(const char *class, const cJSON *config)
{
    const ConfigArch *a = config_arch_of(class, NULL);
    int n = 0;
    for (const cJSON *v = config->child; a && v; v = v->next)
        n += !cJSON_IsNull(v) && !cJSON_IsFalse(v) &&
             !config_harmless(v->string) && config_others(v->string) &&
             !config_field_of(a, v->string);
    return n;
}

/* Of the architectures that a text reads the first that reads all there is: a
 * window makes a Mistral. */
static const char *fitting(const Ast *names, const cJSON *config)
{
    for (int j = 0; j < names->nkid; j++)
        if (!lost(names->kid[j]->text, config))
            return names->kid[j]->text;
    return names->kid[0]->text;
}

/* Names of the architecture the model text itself reads. */
static void restore_base(const Model *m, cJSON *config)
{
    for (int i = 0; i < m->applied.n; i++)
        if (!applied_alive(m, m->applied.at[i]))
            drop_fields(m->applied.at[i], config);
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(config,
                                                         "architectures");
    const cJSON *first = cJSON_GetArrayItem(list, 0);
    for (int i = 0; i < m->root->def->nkid; i++) {
        const Ast *c = m->root->def->kid[i];
        if (!c || c->kind != AST_config || !c->kid[0] || !c->kid[0]->nkid)
            continue;
        for (int j = 0; j < c->kid[0]->nkid; j++)
            if (cJSON_IsString(first) &&
                !strcmp(c->kid[0]->kid[j]->text, first->valuestring))
                return;
        const char *names[] = {fitting(c->kid[0], config)};
        const ConfigArch *a = config_arch_of(names[0], NULL);
        json_set(config, "architectures", cJSON_CreateStringArray(names, 1));
        json_set(config, "model_type",
                 cJSON_CreateString(a ? a->type : m->root->def->text));
    }
}

/* ---- does another program's layout hold it? ---- */

static int by_file(const void *a, const void *b)
{
    const Weight *const *x = a, *const *y = b;
    return strcmp((*x)->file, (*y)->file);
}

static const Weight **by_name(const Model *m, int *n)
{
    const Weight *const *w;
    *n = model_weights(m, &w);
    const Weight **sorted = arena_alloc(m->arena,
                                        (size_t)(*n + 1) * sizeof *sorted);
    memcpy(sorted, w, (size_t)*n * sizeof *sorted);
    qsort(sorted, (size_t)*n, sizeof *sorted, by_file);
    return sorted;
}

static bool same_tensor(const Weight *a, const Weight *b)
{
    if (strcmp(a->file, b->file) || a->stacked != b->stacked ||
        type_count(&a->type, 0) != type_count(&b->type, 0))
        return false;
    for (int i = 0; i < a->stacked; i++)
        if (a->type.dim[i]->size != b->type.dim[i]->size)
            return false;
    return true;
}

static bool same_tensors(const Model *a, const Model *b)
{
    int n, m;
    const Weight **x = by_name(a, &n), **y = by_name(b, &m);
    if (n != m)
        return false;
    for (int i = 0; i < n; i++)
        if (!same_tensor(x[i], y[i]))
            return false;
    return true;
}

static const Applied *last_alive(const Model *m)
{
    for (int i = m->applied.n - 1; i >= 0; i--)
        if (applied_alive(m, m->applied.at[i]))
            return m->applied.at[i];
    return NULL;
}

static bool same_value(const Val *a, const Val *b)
{
    return a->kind == V_json && b->kind == V_json
               ? cJSON_Compare(a->json, b->json, true)
               : !strcmp(val_text(a), val_text(b));
}

/* Of one text: are its parameters (windows, rope) those it had? */
static bool same_numbers(const Model *a, const Model *b)
{
    if (strcmp(a->root->def->text, b->root->def->text))
        return true;
    for (int i = 0; i < a->root->param.n; i++) {
        const Val *v = names_find(&b->root->param, a->root->param.at[i].name);
        if (v && !same_value(v, &a->root->param.at[i].value))
            return false;
    }
    return true;
}

/* Read by the architecture that its transforms name, is it this model again?
 * (Mixtral has no biases and no dense layers between.) */
static bool reads_back(const Model *m, const cJSON *config)
{
    const Applied *last = last_alive(m);
    Spec *spec = (Spec *)last->spec;
    Diags saved = *spec->diags;
    Err err;
    spec->diags->quiet = true;
    Model *again = model_named(m->arena, spec, config, m->dtype, &err);
    bool same = again && same_tensors(m, again) && same_numbers(m, again);
    spec->diags->quiet = saved.quiet;
    spec->diags->errors = saved.errors;
    spec->diags->said.n = saved.said.n;
    return same;
}

/* ---- config.json ---- */

/* Fields that were read by an `else` default are written out. */
static void write_defaults(const Model *m, cJSON *config)
{
    for (int i = 0; i < m->written.n; i++) {
        const Named *f = &m->written.at[i];
        const cJSON *old = cJSON_GetObjectItemCaseSensitive(config, f->name);
        if (old && !cJSON_IsNull(old))
            continue;
        json_set(config, f->name, json_of_val(&f->value));
    }
}

static const char *class_in(const cJSON *config)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(config,
                                                         "architectures");
    const cJSON *first = cJSON_GetArrayItem(list, 0);
    return cJSON_IsString(first) ? first->valuestring : "";
}

/* What its architecture passed over comes along where it is passed over
 * again. */
static void add_aside(const Model *m, cJSON *config)
{
    if (!m->config || strcmp(class_in(config), class_in(m->config)))
        return;
    for (const cJSON *v = m->aside ? m->aside->child : NULL; v; v = v->next)
        if (!cJSON_HasObjectItem(config, v->string))
            cJSON_AddItemToObject(config, v->string, cJSON_Duplicate(v, true));
}

/* The config, the fields that transforms replaced, the transforms. */
typedef struct {
    cJSON *config, *base, *list;
    bool plain; /* nothing of them is left */
    bool known; /* others read it as the architecture it names */
} Parts;

static Parts parts_of(const Model *m)
{
    Parts p = {.config = m->config ? cJSON_Duplicate(m->config, true)
                                   : cJSON_CreateObject(),
               .base = cJSON_CreateObject(), .list = cJSON_CreateArray()};
    restore_base(m, p.config);
    write_defaults(m, p.config);
    for (int i = 0; i < m->applied.n; i++) {
        const Applied *a = m->applied.at[i];
        if (!applied_alive(m, a))
            continue;
        config_block(m, a, p.config, p.base);
        cJSON_AddItemToArray(p.list, applied_json(a));
    }
    p.plain = !cJSON_GetArraySize(p.list) ||
              (!cJSON_GetArraySize(p.base) && is_base(m));
    p.known = !p.plain && cJSON_HasObjectItem(p.base, "architectures") &&
              reads_back(m, p.config);
    if (p.plain)
        add_aside(m, p.config);
    return p;
}

cJSON *model_config(const Model *m)
{
    Parts p = parts_of(m);
    if (p.plain) {
        cJSON_Delete(p.list);
        cJSON_Delete(p.base);
        return p.config;
    }
    const char *ours[] = {"GraftForCausalLM"};
    if (!p.known) { /* so that nothing takes it for what it was */
        set_field(p.config, p.base, "architectures",
                  cJSON_CreateStringArray(ours, 1));
        set_field(p.config, p.base, "model_type", cJSON_CreateString("graft"));
    }
    cJSON *graft = cJSON_CreateObject();
    cJSON_AddItemToObject(graft, "base", p.base);
    cJSON_AddItemToObject(graft, "transforms", p.list);
    cJSON_AddItemToObject(p.config, "graft", graft);
    return p.config;
}

/* ---- model.graft ---- */

typedef struct {
    Arena arena;
    LIST(const Ast *) def; /* those printed */
    FILE *out;
} Printed;

static bool is_printed(const Printed *p, const Ast *def)
{
    for (int i = 0; i < p->def.n; i++)
        if (p->def.at[i]->kind == def->kind &&
            !strcmp(p->def.at[i]->text, def->text))
            return true;
    return false;
}

static bool for_reading(const Ast *def)
{
    return def->kind == AST_module || def->kind == AST_model ||
           def->kind == AST_transform;
}

static void print_file(Printed *p, const Ast *file)
{
    Ast copy = *file;
    copy.kid = arena_alloc(&p->arena, (size_t)(file->nkid + 1) *
                                          sizeof *copy.kid);
    copy.nkid = 0;
    for (int i = 0; i < file->nkid; i++)
        if (for_reading(file->kid[i]) && !is_printed(p, file->kid[i])) {
            list_push(&p->arena, &p->def, (const Ast *)file->kid[i]);
            copy.kid[copy.nkid++] = file->kid[i];
        }
    if (!copy.nkid)
        return;
    char *text = dsl_format(&copy);
    fprintf(p->out, "%s%s", p->def.n > copy.nkid ? "\n" : "", text);
    free(text);
}

/* What def needs of its files, used ones first. */
static void print_needs(Printed *p, const Spec *s, const Ast *def)
{
    Trees needs = spec_needs(s, def);
    for (int i = 0; i < s->file.n; i++)
        for (int j = 0; j < needs.n; j++)
            if (needs.at[j] == s->file.at[i])
                print_file(p, s->file.at[i]);
}

static char *needed_text(const Model *m)
{
    char *text = NULL;
    size_t len;
    Printed p = {.out = open_memstream(&text, &len)};
    print_needs(&p, m->spec, m->root->def);
    for (int i = 0; i < m->applied.n; i++)
        if (applied_alive(m, m->applied.at[i]))
            print_needs(&p, m->applied.at[i]->spec, m->applied.at[i]->def);
    fclose(p.out);
    arena_free(&p.arena);
    return text;
}

char *model_graft_text(const Model *m)
{
    Parts p = parts_of(m);
    cJSON_Delete(p.config);
    cJSON_Delete(p.base);
    cJSON_Delete(p.list);
    return p.plain || p.known ? NULL : needed_text(m);
}
