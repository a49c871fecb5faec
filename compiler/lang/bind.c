/* Models bound to a config.json: which text reads it, the values of its
 * parameters, the transforms that made it. */
#include "compiler/lang/config.h"
#include <math.h>
#include <string.h>

/* ---- config fields ---- */

static const cJSON *json_field(const cJSON *o, const char *path)
{
    while (o && *path) {
        size_t len = strcspn(path, ".");
        o = cJSON_GetObjectItemCaseSensitive(o, intern_n(path, len));
        path += len + (path[len] == '.');
    }
    return cJSON_IsNull(o) ? NULL : o;
}

/* rope_parameters.rope_theta as it is written, or NULL if e is no name. */
static const char *dotted(const Ast *e)
{
    if (e->kind == AST_name)
        return e->text;
    const char *base = e->kind == AST_dot ? dotted(e->kid[0]) : NULL;
    return base ? intern_printf("%s.%s", base, e->text) : NULL;
}

Val json_value(const cJSON *v)
{
    if (cJSON_IsNumber(v))
        return val_size(size_num(v->valuedouble));
    if (cJSON_IsBool(v))
        return val_bool(cJSON_IsTrue(v));
    if (cJSON_IsString(v))
        return val_string(intern(v->valuestring));
    return (Val){.kind = V_json, .json = v};
}

/* A value of the config (*from: that field), an earlier field, or an
 * expression of those (NULL). */
static bool alternative(Scope *s, const Ast *e, Val *out, const char **from)
{
    const char *name = dotted(e);
    Val *earlier = name ? names_find(&s->inst->param, name) : NULL;
    const cJSON *v = name ? json_field(s->model->config, name) : NULL;
    *from = NULL;
    if (earlier) {
        *out = *earlier;
        return true;
    }
    if (v) {
        *out = json_value(v);
        out->field = *from = name;
        return true;
    }
    if (name && strcmp(name, "none") && strcmp(name, "true") &&
        strcmp(name, "false"))
        return false;
    *out = eval(s, e);
    return out->kind != V_error;
}

/* A value as it came from the config's field. */
static bool usable(const char *field, const Val *v, Err *err)
{
    double n;
    Rope ignored = {0};
    if (v->kind == V_size && size_is_num(v->size, &n) && !isfinite(n))
        return err_set(err, "config.json: `%s` is no finite number", field);
    bool rope = !strcmp(field, "rope_scaling") ||
                !strcmp(field, "rope_parameters");
    const char *why = !rope            ? NULL
                      : v->kind != V_json ? "is not an object"
                                          : rope_of_config(v->json, &ignored);
    return !why || err_set(err, "config.json: `%s` %s", field, why);
}

static bool bind_field(Scope *s, const Ast *f, Err *err)
{
    Val v = val_error;
    bool found = false;
    const char *from = NULL, *first = f->nkid ? dotted(f->kid[0]) : NULL;
    for (int i = 0; i < f->nkid && !found; i++)
        found = alternative(s, f->kid[i], &v, &from);
    if (!found)
        return err_set(err, "config.json: no field `%s`",
                       first ? first : f->text);
    if (!usable(from ? from : f->text, &v, err))
        return false;
    names_set(s->model->arena, &s->inst->param, f->text, v);
    if (!from && first && v.kind != V_none && !strchr(first, '.'))
        names_set(s->model->arena, &s->model->written, first, v);
    return true;
}

static bool bind_require(Scope *s, const Ast *r, Err *err)
{
    Val v = eval(s, r->kid[0]);
    if (v.kind != V_bool || v.truth)
        return true;
    Arena scratch = {0};
    err_set(err, "config.json: %s",
            r->kid[1] ? fill_message(s, r->kid[1]->text)
                      : dsl_expr_text(&scratch, r->kid[0]));
    arena_free(&scratch);
    return false;
}

static bool bind_config(Scope *s, const Ast *config, Err *err)
{
    for (int i = 1; i < config->nkid; i++) {
        const Ast *item = config->kid[i];
        if (item->kind == AST_field && s->model->symbolic)
            names_set(s->model->arena, &s->inst->param, item->text,
                      val_size(model_symbol(s->model, item, "config",
                                             item->text)));
        else if (item->kind == AST_field ? !bind_field(s, item, err)
                                         : !s->model->symbolic &&
                                               !bind_require(s, item, err))
            return false;
    }
    return true;
}

/* ---- which model ---- */

static const char *architecture(const cJSON *config)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(config,
                                                         "architectures");
    const cJSON *first = cJSON_GetArrayItem(list, 0);
    return cJSON_IsString(first) ? first->valuestring : NULL;
}

const Ast *config_of(const Ast *def)
{
    for (int i = 0; i < def->nkid; i++)
        if (def->kid[i]->kind == AST_config)
            return def->kid[i];
    return NULL;
}

static bool names_architecture(const Ast *model, const char *arch)
{
    const Ast *config = config_of(model);
    const Ast *strings = config ? config->kid[0] : NULL;
    for (int i = 0; strings && i < strings->nkid; i++)
        if (!strcmp(strings->kid[i]->text, arch))
            return true;
    return false;
}

static const Ast *field_of(const Ast *def, const char *name)
{
    const Ast *config = config_of(def);
    for (int i = 1; config && i < config->nkid; i++)
        if (config->kid[i]->kind == AST_field &&
            !strcmp(config->kid[i]->text, name))
            return config->kid[i];
    return NULL;
}

static bool makes_architecture(const Ast *transform, const char *arch)
{
    const Ast *f = field_of(transform, "architectures");
    const Ast *list = f && f->nkid ? f->kid[0] : NULL;
    for (int i = 0; list && i < list->nkid; i++)
        if (list->kid[i]->kind == AST_string &&
            !strcmp(list->kid[i]->text, arch))
            return true;
    return false;
}

static const Ast *find_def(const Spec *s, AstKind kind, const char *arch,
                           bool (*fits)(const Ast *, const char *))
{
    for (int i = 0; i < s->def.n; i++)
        if (s->def.at[i]->kind == kind && fits(s->def.at[i], arch))
            return s->def.at[i];
    return NULL;
}

const char *field_of_dim(const Model *m, const Dim *d)
{
    const Val *v = m->root ? names_find(&m->root->param, d->name) : NULL;
    return v && v->dim == d ? v->field : NULL;
}

/* ---- a model of a text ---- */

Model *model_new(Arena *arena, const Spec *spec, const Ast *def, Dtype dtype)
{
    Model *m = arena_alloc(arena, sizeof *m);
    m->spec = spec;
    m->arena = arena;
    m->dtype = dtype;
    m->weights = graph_new(arena, "weights");
    m->symbols = symbols_new(arena);
    m->root = inst_new(m, spec, def, NULL, "", "");
    return m;
}

bool model_fill(Model *m, Err *err)
{
    Scope s = {.spec = m->spec, .model = m, .g = m->weights, .inst = m->root};
    const Ast *config = config_of(m->root->def);
    int before = m->spec->diags->errors;
    if (config && !bind_config(&s, config, err))
        return false;
    inst_build(m, m->root, &s);
    return m->spec->diags->errors == before ||
           err_set(err, "the model's text does not fit the config");
}

/* After reading, weights come from the folder's own files. */
static void forget_value(Inst *inst, void *user)
{
    Model *m = user;
    for (int i = 0; i < inst->slot.n; i++) {
        Slot *slot = &inst->slot.at[i];
        if (slot->absent || !slot->w->value)
            continue;
        Weight *w = arena_alloc(m->arena, sizeof *w);
        *w = *slot->w;
        w->value = NULL;
        slot->w = w;
    }
}

/* The config as its architecture's own code takes it. */
static bool settled(Model *m, const char *class, const cJSON *config, Err *err)
{
    Settled s;
    if (!config_settle(class, config, &s, err))
        return false;
    m->config = json_keep(m->arena, s.config);
    m->aside = json_keep(m->arena, s.aside);
    m->unknown = s.unknown;
    m->filled = s.filled;
    config_settled_free(&s);
    return true;
}

void model_forget(Model *m)
{
    inst_walk(m->root, forget_value, m);
}

static Model *bound(Arena *arena, const Spec *spec, const Ast *def,
                    const char *class, const cJSON *config, Dtype dtype,
                    Err *err)
{
    Model *m = model_new(arena, spec, def, dtype);
    return settled(m, class, config, err) && model_fill(m, err) ? m : NULL;
}

/* ---- Mixtral and such: read as a transform of their base model ---- */

static int args_from_config(const Ast *t, const cJSON *config, Arena *a,
                            Arg *arg)
{
    const Ast *params = t->kid[0], *c = config_of(t);
    int n = 0;
    for (int i = 0; i < params->nkid; i++)
        for (int j = 1; j < c->nkid; j++) {
            const Ast *f = c->kid[j];
            if (f->kind != AST_field || f->kid[0]->kind != AST_name ||
                strcmp(f->kid[0]->text, params->kid[i]->text))
                continue;
            const cJSON *v = json_field(config, f->text);
            if (v && cJSON_IsNumber(v))
                arg[n++] = (Arg){params->kid[i]->text,
                                 arena_printf(a, "%.17g", v->valuedouble)};
        }
    return n;
}

static Model *bind_made(Arena *arena, Spec *spec, const Ast *t,
                        const char *class, const cJSON *config, Dtype dtype,
                        Err *err)
{
    Arg arg[64];
    const Ast *def = spec_model_of(spec, t);
    if (!def) {
        err_set(err, "`%s` uses no model: it reads no \"%s\"", t->text,
                class);
        return NULL;
    }
    Model *m = bound(arena, spec, def, class, config, dtype, err);
    int n = m ? args_from_config(t, m->config, arena, arg) : 0;
    if (m)
        m->config = made_base(arena, def, t, m->config, config);
    if (m)
        m = model_transform(spec, m, t->text, arg, n, NULL, 0, err);
    if (m)
        model_forget(m);
    return m;
}

/* ---- our own folders ---- */

/* "[0.3,0.5]" */
static const char *array_text(const cJSON *v, Arena *a)
{
    char *text = cJSON_PrintUnformatted(v);
    const char *kept = arena_strn(a, text, strlen(text));
    cJSON_free(text);
    return kept;
}

static int args_of(const cJSON *params, Arena *a, Arg *arg)
{
    int n = 0;
    for (const cJSON *v = params ? params->child : NULL; v && n < 64;
         v = v->next) {
        const char *text = cJSON_IsNumber(v)
                               ? arena_printf(a, "%.17g", v->valuedouble)
                           : cJSON_IsBool(v)
                               ? (cJSON_IsTrue(v) ? "true" : "false")
                           : cJSON_IsString(v) ? v->valuestring
                           : cJSON_IsArray(v)  ? array_text(v, a)
                                               : "none";
        arg[n++] = (Arg){intern(v->string), intern(text)};
    }
    return n;
}

/* Other models that made it are not at hand, nor needed: their weights are in
 * the files. The model itself stands for them; how many there were is among the
 * parameters. */
static int stand_ins(const Ast *def, Model *m, Arg *arg, int *narg,
                     With *with, int room)
{
    int n = 0;
    bool counted[64] = {false};
    for (int i = 0; def && i < def->kid[0]->nkid; i++) {
        const Ast *p = def->kid[0]->kid[i];
        int count = p->kind == AST_param_model;
        for (int j = 0; count && p->nkid && p->kid[0] && j < *narg; j++)
            if (!strcmp(arg[j].name, p->kid[0]->text)) {
                count = atoi(arg[j].value);
                counted[j] = true;
            }
        for (int j = 0; j < count && n < room; j++)
            with[n++] = (With){p->text, m};
    }
    int kept = 0;
    for (int j = 0; j < *narg; j++)
        if (!counted[j])
            arg[kept++] = arg[j];
    *narg = kept;
    return n;
}

static Model *apply_listed(Spec *spec, Model *m, const cJSON *graft, Err *err)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(graft, "transforms");
    for (const cJSON *t = list ? list->child : NULL; t && m; t = t->next) {
        const cJSON *name = cJSON_GetObjectItemCaseSensitive(t, "name");
        Arg arg[64];
        int n = args_of(cJSON_GetObjectItemCaseSensitive(t, "parameters"),
                        m->arena, arg);
        if (!cJSON_IsString(name)) {
            err_set(err, "config.json: a transform of `graft` has no name");
            return NULL;
        }
        With with[64];
        int nwith = stand_ins(spec_find(spec, AST_transform,
                                        name->valuestring),
                              m, arg, &n, with, COUNT(with));
        Model *next = model_transform(spec, m, intern(name->valuestring), arg,
                                      n, with, nwith, err);
        if (next)
            model_forget(next);
        m = next;
    }
    return m;
}

static Model *bind_graft(Arena *arena, Spec *spec, const cJSON *config,
                         Dtype dtype, Err *err)
{
    Model *m = model_named(arena, spec, base_config(arena, config), dtype,
                           err);
    const cJSON *graft = cJSON_GetObjectItemCaseSensitive(config, "graft");
    return m ? apply_listed(spec, m, graft, err) : NULL;
}

/* Has the config a `graft` field whose transforms the texts define? */
static bool lists_known(const Spec *spec, const cJSON *config)
{
    const cJSON *graft = cJSON_GetObjectItemCaseSensitive(config, "graft");
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(graft, "transforms");
    bool known = list != NULL;
    for (const cJSON *t = list ? list->child : NULL; t && known; t = t->next) {
        const cJSON *name = cJSON_GetObjectItemCaseSensitive(t, "name");
        known = cJSON_IsString(name) &&
                spec_find(spec, AST_transform, name->valuestring);
    }
    return known;
}

static const Ast *reader(const Spec *spec, const char *class, AstKind *kind)
{
    const Ast *def = find_def(spec, AST_model, class, names_architecture);
    *kind = def ? AST_model : AST_transform;
    return def ? def : find_def(spec, AST_transform, class,
                                makes_architecture);
}

/* By model_type, as AutoModel goes, where that is known; but a class that is in
 * no table stays: it may be another model's. */
static const char *class_of(const cJSON *config)
{
    const char *class = architecture(config);
    const cJSON *type = json_field(config, "model_type");
    const ConfigArch *a =
        config_arch_of(NULL, cJSON_IsString(type) ? type->valuestring : NULL);
    return a && (!class || config_arch_of(class, NULL)) ? a->class : class;
}

Model *model_named(Arena *arena, Spec *spec, const cJSON *config, Dtype dtype,
                   Err *err)
{
    AstKind kind;
    const char *class = class_of(config);
    const Ast *def = class ? reader(spec, class, &kind) : NULL;
    if (def && kind == AST_model)
        return bound(arena, spec, def, class, config, dtype, err);
    if (def)
        return bind_made(arena, spec, def, class, config, dtype, err);
    if (class)
        err_set(err, "config.json: no model text reads the architecture "
                     "\"%s\"", class);
    else
        err_set(err, "config.json: no `architectures`, and no `model_type` "
                     "that graft knows");
    return NULL;
}

const char *model_unknown(const Model *m)
{
    return m->unknown;
}

/* What only the forward pass asks of the numbers (heads that divide, as many
 * experts as a token takes) is asked here, before any weight is read. */
bool model_lowers(const Model *m, Err *err)
{
    Arena scratch = {0};
    Graph *g = model_graph(m, &scratch);
    arena_free(&scratch);
    return (g && !m->spec->diags->errors) ||
           err_set(err, "the model's text does not fit the config");
}

Model *model_read(Arena *arena, Spec *spec, const cJSON *config, Dtype dtype,
                  Err *err)
{
    err->text[0] = 0;
    return lists_known(spec, config)
               ? bind_graft(arena, spec, config, dtype, err)
               : model_named(arena, spec, config, dtype, err);
}

Model *model_bind(Arena *arena, Diags *diags, const cJSON *config,
                  const char *graft_text, Dtype dtype, Err *err)
{
    Spec *spec = spec_new(arena, diags);
    err->text[0] = 0;
    spec->alone = graft_text;
    if (graft_text ? !spec_text(spec, "model.graft", graft_text)
                   : (spec_whole_library(spec), diags->errors > 0)) {
        err_set(err, "%s has mistakes", graft_text ? "model.graft"
                                                   : "the library");
        return NULL;
    }
    Model *m = model_read(arena, spec, config, dtype, err);
    return m && model_lowers(m, err) ? m : NULL;
}

bool model_size(const Model *m, const char *name, int64_t *out)
{
    const Val *v = names_find(&m->root->param, name);
    double n;
    if (!v || v->kind != V_size || !size_is_num(v->size, &n))
        return false;
    *out = (int64_t)n;
    return true;
}
