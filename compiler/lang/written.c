/* What a model is written as: its config.json, and the text that a folder
 * carries where the library alone does not read it. Whatever is written was
 * read back before: forms are tried from the plainest on, and the first that
 * gives the same modules and tensors is taken. */
#include "compiler/lang/config.h"
#include "compiler/lang/written.h"
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

static cJSON *applied_json(const Applied *a, const char *name)
{
    cJSON *o = cJSON_CreateObject(), *p = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "name", name);
    for (int i = 0; i < a->param.n; i++)
        cJSON_AddItemToObject(p, a->param.at[i].name,
                              json_of_val(&a->param.at[i].value));
    cJSON_AddItemToObject(o, "parameters", p);
    return o;
}

/* ---- the same model? ---- */

static bool same_value(const Val *a, const Val *b)
{
    return a->kind == V_json && b->kind == V_json
               ? cJSON_Compare(a->json, b->json, true)
               : !strcmp(val_text(a), val_text(b));
}

static bool same_names(const Names *a, const Names *b)
{
    if (a->n != b->n)
        return false;
    for (int i = 0; i < a->n; i++)
        if (!same_value(&a->at[i].value, &b->at[i].value))
            return false;
    return true;
}

static bool same_slot(const Slot *a, const Slot *b)
{
    const Weight *v = a->w, *w = b->w;
    if (a->absent || b->absent)
        return a->absent == b->absent;
    if (strcmp(v->file, w->file) || v->stacked != w->stacked ||
        v->type.rank != w->type.rank)
        return false;
    for (int i = 0; i < v->type.rank; i++)
        if (v->type.dim[i]->size != w->type.dim[i]->size)
            return false;
    return true;
}

static bool same_tree(const Inst *a, const Inst *b)
{
    if (!def_alike(a->def, b->def) || !same_names(&a->param, &b->param) ||
        strcmp(a->file, b->file) || a->slot.n != b->slot.n ||
        a->part.n != b->part.n)
        return false;
    for (int i = 0; i < a->slot.n; i++)
        if (!same_slot(&a->slot.at[i], &b->slot.at[i]))
            return false;
    for (int i = 0; i < a->part.n; i++) {
        const Part *p = &a->part.at[i], *q = &b->part.at[i];
        if (p->n != q->n || p->unrolled != q->unrolled)
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

/* The texts that a folder is read with. */
typedef struct {
    Arena arena;
    Diags diags;
    Spec *spec;
} Texts;

/* text: the folder's own; NULL: the library. */
static bool texts_open(Texts *t, const char *text)
{
    *t = (Texts){.diags.quiet = true};
    t->spec = spec_new(&t->arena, &t->diags);
    if (text)
        return spec_text(t->spec, "model.graft", text);
    spec_whole_library(t->spec);
    return true;
}

static void texts_free(Texts *t)
{
    diags_free(&t->diags);
    arena_free(&t->arena);
}

/* Read with these texts, is it this model? */
static bool reads_back(const Model *m, Texts *t, const cJSON *config, Err *err)
{
    Arena scratch = {0};
    Model *again = model_read(&scratch, t->spec, config, m->dtype, err);
    bool same = again && same_tree(m->root, again->root);
    if (again && !same)
        err_set(err, "other modules are read than were written");
    else if (!again && t->diags.said.n)
        err_set(err, "%s", t->diags.said.at[0].text);
    t->diags.errors = 0;
    arena_free(&scratch);
    return same;
}

static bool own_text_reads(const Model *m, const Written *w, Err *err)
{
    Texts own;
    bool same = texts_open(&own, w->text) &&
                reads_back(m, &own, w->config, err);
    texts_free(&own);
    return same;
}

/* ---- the forms ---- */

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
        if (!cJSON_HasObjectItem(config, v->string) &&
            strcmp(v->string, "graft"))
            cJSON_AddItemToObject(config, v->string, cJSON_Duplicate(v, true));
}

static cJSON *plain_config(const Model *m)
{
    cJSON *config = m->config ? cJSON_Duplicate(m->config, true)
                              : cJSON_CreateObject();
    cJSON_DeleteItemFromObjectCaseSensitive(config, "graft");
    write_defaults(m, config);
    return config;
}

/* Which of its transforms a folder lists. */
typedef enum { LIST_alive, LIST_structure, LIST_all } Listed;

static bool is_listed(const Model *m, const Applied *a, Listed which)
{
    return which == LIST_all || applied_alive(m, a) ||
           (which == LIST_structure && replaces(a->def));
}

typedef struct {
    cJSON *config, *base, *list;
    Written out;
} Form;

static void form_free(Form *f)
{
    cJSON_Delete(f->config);
    cJSON_Delete(f->base);
    cJSON_Delete(f->list);
    free(f->out.text);
    *f = (Form){0};
}

/* The config with the fields of transforms whose modules are there, and what
 * those replaced. */
static Form form_new(const Model *m)
{
    Form f = {.config = plain_config(m), .base = cJSON_CreateObject(),
              .list = cJSON_CreateArray()};
    for (int i = 0; i < m->applied.n; i++)
        if (applied_alive(m, m->applied.at[i]))
            config_block(m, m->applied.at[i], f.config, f.base);
    return f;
}

static void list_applied(Form *f, const Model *m, Listed which,
                         const ModelText *names)
{
    for (int i = 0; i < m->applied.n; i++) {
        const Applied *a = m->applied.at[i];
        const char *name = names ? defs_name(names, a->spec, a->def)
                                 : a->name;
        if (is_listed(m, a, which))
            cJSON_AddItemToArray(f->list, applied_json(a, name));
    }
}

/* Moves the base's fields and the list into the config. */
static void close_form(Form *f, bool listed)
{
    cJSON *graft = cJSON_CreateObject();
    cJSON_AddItemToObject(graft, "base", f->base);
    if (listed)
        cJSON_AddItemToObject(graft, "transforms", f->list);
    else
        cJSON_Delete(f->list);
    cJSON_AddItemToObject(f->config, "graft", graft);
    f->base = f->list = NULL;
    f->out.config = f->config;
    f->config = NULL;
}

/* None of its transforms is left: the model's own config. */
static bool write_plain(const Model *m, Texts *library, Written *out)
{
    Err err;
    if (!is_base(m))
        return false;
    *out = (Written){.config = plain_config(m)};
    add_aside(m, out->config);
    if (reads_back(m, library, out->config, &err))
        return true;
    ModelText *t = defs_new(m);
    defs_add(t, m->spec, m->root->def);
    out->text = defs_print(t);
    defs_free(t);
    if (own_text_reads(m, out, &err))
        return true;
    written_free(out);
    return false;
}

/* The architecture that its transforms name holds it (Mixtral has no biases
 * and no dense layers between), and the library reads that. */
static bool write_known(const Model *m, Texts *library, Written *out)
{
    Err err;
    Form f = form_new(m);
    if (!cJSON_HasObjectItem(f.base, "architectures") ||
        !reads_back(m, library, f.config, &err)) {
        form_free(&f);
        return false;
    }
    list_applied(&f, m, LIST_alive, NULL);
    cJSON *kept = cJSON_Duplicate(f.config, true);
    cJSON *base = cJSON_Duplicate(f.base, true);
    close_form(&f, true);
    if (reads_back(m, library, f.out.config, &err)) {
        cJSON_Delete(kept);
        cJSON_Delete(base);
    } else { /* the library calls other transforms so */
        cJSON_Delete(f.out.config);
        f = (Form){.config = kept, .base = base};
        close_form(&f, false);
    }
    *out = f.out;
    return true;
}

/* A folder of ours: nothing takes it for what it was. */
static bool write_ours(const Model *m, Listed which, Written *out, Err *err)
{
    const char *ours[] = {"GraftForCausalLM"};
    Form f = form_new(m);
    ModelText *t = defs_new(m);
    defs_add(t, m->spec, m->root->def);
    for (int i = 0; i < m->applied.n; i++)
        if (is_listed(m, m->applied.at[i], which))
            defs_add(t, m->applied.at[i]->spec, m->applied.at[i]->def);
    set_field(f.config, f.base, "architectures",
              cJSON_CreateStringArray(ours, 1));
    set_field(f.config, f.base, "model_type", cJSON_CreateString("graft"));
    list_applied(&f, m, which, t);
    close_form(&f, true);
    f.out.text = defs_print(t);
    defs_free(t);
    *out = f.out;
    if (own_text_reads(m, out, err))
        return true;
    written_free(out);
    return false;
}

bool model_write(const Model *m, Written *out, Err *err)
{
    Err why = {""};
    Texts library;
    bool done = texts_open(&library, NULL) &&
                (write_plain(m, &library, out) ||
                 write_known(m, &library, out));
    texts_free(&library);
    if (done)
        return true;
    for (Listed which = LIST_alive; which <= LIST_all; which++)
        if (write_ours(m, which, out, &why))
            return true;
    return err_set(err, "the result cannot be read back: %s", why.text);
}

void written_free(Written *w)
{
    cJSON_Delete(w->config);
    free(w->text);
    *w = (Written){0};
}
