/* A model as it stands: its weights, their tensors, its config, its text. */
#include "compiler/elab.h"
#include <math.h>
#include <string.h>

/* ---- weights ---- */

typedef struct {
    const Model *m;
    LIST(const Weight *) list;
} Gather;

static void gather(Inst *inst, void *user)
{
    Gather *g = user;
    for (int i = 0; i < inst->slot.n; i++)
        if (!inst->slot.at[i].absent)
            list_push(g->m->arena, &g->list,
                      (const Weight *)inst->slot.at[i].w);
}

int model_weights(const Model *m, const Weight *const **out)
{
    Gather g = {.m = m};
    inst_walk(m->root, gather, &g);
    *out = g.list.at;
    return g.list.n;
}

const char *weight_tensor(const Weight *w, const int64_t *index)
{
    const char *text = w->file, *out = "";
    for (int i = 0; i < w->stacked; i++) {
        const char *hole = strstr(text, "{}");
        if (!hole)
            break;
        out = intern_printf("%s%.*s%lld", out, (int)(hole - text), text,
                            (long long)index[i]);
        text = hole + 2;
    }
    return intern_printf("%s%s", out, text);
}

/* ---- against the files' headers ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp(((const TensorInfo *)a)->name,
                  ((const TensorInfo *)b)->name);
}

static const char *shape_text(int rank, const int64_t *shape)
{
    const char *text = "[";
    for (int i = 0; i < rank; i++)
        text = intern_printf("%s%s%lld", text, i ? ", " : "",
                             (long long)shape[i]);
    return intern_printf("%s]", text);
}

/* The weight's own dims (after the stacked ones) flatten to the tensor's. */
static bool flattens(const Weight *w, const TensorInfo *t)
{
    int at = w->stacked;
    for (int i = 0; i < t->rank; i++) {
        int64_t n = 1;
        while (at < w->type.rank && n < t->shape[i])
            n *= size_at(w->type.dim[at++]->size, 0);
        if (n != t->shape[i])
            return false;
    }
    while (at < w->type.rank && size_at(w->type.dim[at]->size, 0) == 1)
        at++;
    return at == w->type.rank;
}

static bool fits(const Weight *w, const TensorInfo *t, Err *err)
{
    int64_t shape[MAX_RANK];
    if (flattens(w, t))
        return true;
    for (int i = w->stacked; i < w->type.rank; i++)
        shape[i - w->stacked] = size_at(w->type.dim[i]->size, 0);
    return err_set(err, "tensor %s is %s, `%s` %s needs %s", t->name,
                   shape_text(t->rank, t->shape), w->path,
                   dims_text(&w->type),
                   shape_text(w->type.rank - w->stacked, shape));
}

typedef struct {
    TensorInfo *tensor; /* by name */
    bool *read;
    int n;
} Files;

static bool find_one(Files *f, const Weight *w, const int64_t *index, Err *err)
{
    TensorInfo key = {.name = weight_tensor(w, index)};
    TensorInfo *t = bsearch(&key, f->tensor, (size_t)f->n, sizeof key, by_name);
    if (!t)
        return err_set(err, "the files have no tensor %s, which `%s` reads",
                       key.name, w->path);
    f->read[t - f->tensor] = true;
    return fits(w, t, err);
}

bool weight_next(const Weight *w, int64_t *index)
{
    for (int i = w->stacked - 1; i >= 0; i--) {
        if (++index[i] < size_at(w->type.dim[i]->size, 0))
            return true;
        index[i] = 0;
    }
    return false;
}

static bool habitual(const Files *f, const TensorInfo *t)
{
    size_t len = strlen(t->name);
    const char *inv = "rotary_emb.inv_freq";
    if (len >= strlen(inv) && !strcmp(t->name + len - strlen(inv), inv))
        return true;
    if (strcmp(t->name, "lm_head.weight"))
        return false;
    TensorInfo key = {.name = "model.embed_tokens.weight"};
    const TensorInfo *e = bsearch(&key, f->tensor, (size_t)f->n, sizeof key,
                                  by_name);
    return e && e->bytes == t->bytes && e->data && t->data &&
           !memcmp(e->data, t->data, (size_t)t->bytes);
}

static bool all_read(const Files *f, Err *err)
{
    for (int i = 0; i < f->n; i++)
        if (!f->read[i] && !habitual(f, &f->tensor[i]))
            return err_set(err, "no weight of the model reads tensor %s",
                           f->tensor[i].name);
    return true;
}

bool model_check_tensors(const Model *m, const TensorInfo *tensor, int n,
                         Err *err)
{
    const Weight *const *w;
    int count = model_weights(m, &w);
    Files f = {xmalloc((size_t)(n + 1) * sizeof *f.tensor),
               xmalloc((size_t)n + 1), n};
    bool ok = true;
    memcpy(f.tensor, tensor, (size_t)n * sizeof *tensor);
    memset(f.read, 0, (size_t)n + 1);
    qsort(f.tensor, (size_t)n, sizeof *f.tensor, by_name);
    for (int i = 0; ok && i < count; i++) {
        int64_t index[MAX_RANK] = {0};
        do
            ok = find_one(&f, w[i], index, err);
        while (ok && weight_next(w[i], index));
    }
    ok = ok && all_read(&f, err);
    free(f.tensor);
    free(f.read);
    return ok;
}

/* ---- config.json ---- */

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

static bool known_layout(const Applied *a)
{
    for (int i = 0; i < a->def->nkid; i++)
        if (a->def->kid[i] && a->def->kid[i]->kind == AST_config)
            for (int j = 1; j < a->def->kid[i]->nkid; j++)
                if (!strcmp(a->def->kid[i]->kid[j]->text, "architectures"))
                    return true;
    return false;
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
        const char *arch = c->kid[0]->kid[0]->text;
        const char *names[] = {arch};
        json_set(config, "architectures", cJSON_CreateStringArray(names, 1));
        json_set(config, "model_type", cJSON_CreateString(m->root->def->text));
    }
}

cJSON *model_config(const Model *m)
{
    cJSON *config = m->config ? cJSON_Duplicate(m->config, true)
                              : cJSON_CreateObject();
    cJSON *base = cJSON_CreateObject(), *list = cJSON_CreateArray();
    bool known = false;
    restore_base(m, config);
    for (int i = 0; i < m->written.n; i++)
        if (!cJSON_GetObjectItemCaseSensitive(config, m->written.at[i].name) ||
            cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(
                config, m->written.at[i].name))) {
            cJSON_DeleteItemFromObjectCaseSensitive(config,
                                                    m->written.at[i].name);
            cJSON_AddItemToObject(config, m->written.at[i].name,
                                  json_of_val(&m->written.at[i].value));
        }
    for (int i = 0; i < m->applied.n; i++) {
        const Applied *a = m->applied.at[i];
        if (!applied_alive(m, a))
            continue;
        config_block(m, a, config, base);
        known |= known_layout(a);
        cJSON_AddItemToArray(list, applied_json(a));
    }
    if (!cJSON_GetArraySize(list) ||
        (!cJSON_GetArraySize(base) && is_base(m))) {
        cJSON_Delete(list);
        cJSON_Delete(base);
        return config;
    }
    const char *ours[] = {"GraftForCausalLM"};
    if (!known)
        set_field(config, base, "architectures",
                  cJSON_CreateStringArray(ours, 1));
    cJSON *graft = cJSON_CreateObject();
    cJSON_AddItemToObject(graft, "base", base);
    cJSON_AddItemToObject(graft, "transforms", list);
    cJSON_AddItemToObject(config, "graft", graft);
    return config;
}

/* The files of the model's own text, then those of the transforms'. */
char *model_graft_text(const Model *m)
{
    const Applied *last = NULL;
    bool known = false;
    for (int i = 0; i < m->applied.n; i++)
        if (applied_alive(m, m->applied.at[i])) {
            last = m->applied.at[i];
            known |= known_layout(last);
        }
    return last && !known && !is_base(m) ? spec_closure(last->spec) : NULL;
}

/* ---- show --stage model ---- */

/* Weights that a formula reads, the first few; *drawn: it has random draws. */
typedef struct {
    const Weight *w[4];
    int n, steps;
    bool drawn;
} Reads;

static void reads(const Node *n, Reads *r)
{
    if (r->steps++ > 5000) /* shared parts are met again and again */
        return;
    r->drawn |= n->op == OP_gaussian || n->op == OP_uniform;
    bool known = n->op != OP_weight;
    for (int i = 0; i < r->n; i++)
        known |= r->w[i] == n->weight;
    if (!known && r->n < (int)COUNT(r->w))
        r->w[r->n++] = n->weight;
    for (int i = 0; i < op_info[n->op].nargs; i++)
        reads(n->arg[i], r);
}

static const char *formula_text(const Node *v)
{
    Reads r = {0};
    reads(v, &r);
    if (!r.n)
        return r.drawn ? "drawn at random" : "formula";
    const char *text = "formula of";
    for (int i = 0; i < r.n && i < 3; i++)
        text = intern_printf("%s%s %s", text, i ? "," : "", r.w[i]->path);
    return r.n > 3 ? intern_printf("%s, ...", text) : text;
}

const char *weight_origin(const Weight *w)
{
    const Node *v = w->value;
    if (!v)
        return intern_printf("file %s", w->file);
    while (v->op == OP_expand || v->op == OP_rename || v->op == OP_cast)
        v = v->arg[0];
    if (v->op == OP_weight)
        return intern_printf("copy of %s", v->weight->path);
    if (v->op == OP_number)
        return intern_printf("all %g", v->num);
    return formula_text(w->value);
}

void model_print(const Model *m, FILE *out)
{
    fprintf(out, "model %s, %s\n", m->root->def->text,
            type_info[m->dtype].name);
    for (int i = 0; i < m->root->param.n; i++)
        fprintf(out, "  %s = %s\n", m->root->param.at[i].name,
                val_text(&m->root->param.at[i].value));
    Arena scratch = {0};
    view_print(model_view(m, &scratch), out);
    arena_free(&scratch);
}
