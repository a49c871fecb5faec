/* A model bound to its checkpoint; its weights for those that compute. */
#include "cli/driver/parts.h"
#include <string.h>

/* bf16 models compute in bf16, all others in f32, unless told. */
static Dtype compute_dtype(const Checkpoint *c, const Common *common)
{
    if (common->has_dtype)
        return common->dtype == TYPE_f64 ? TYPE_f32 : common->dtype;
    return c && c->dtype == TYPE_bf16 ? TYPE_bf16 : TYPE_f32;
}

bool loaded_fits(const Checkpoint *c, const Model *m, Err *err)
{
    if (c->tensors == 0)
        return err_set(err, "%s: holds no tensors", c->path);
    TensorInfo *info = xmalloc((size_t)c->tensors * sizeof *info);
    for (int i = 0; i < c->tensors; i++)
        info[i] = c->tensor[i].info;
    Err why;
    bool fine = model_check_tensors(m, info, c->tensors, &why);
    free(info);
    return fine || err_set(err, "%s: %s", c->path, why.text);
}

/* A weight may be of any type that widens to a float. */
static bool check_types(const Loaded *l, Err *err)
{
    const Weight *const *w;
    int n = model_weights(l->model, &w);
    for (int i = 0; i < n; i++)
        for (int64_t j = 0; !w[i]->value && j < weight_stacked(w[i]); j++) {
            const FileTensor *t = loaded_tensor(l, w[i], j);
            const TypeInfo *type = &type_info[t->info.dtype];
            if (!type_is_float(t->info.dtype) && type->block_len == 1)
                return err_set(err, "%s: tensor %s: whole numbers cannot be "
                                    "a weight",
                               t->path, tensor_text(&t->info));
        }
    return true;
}

/* What is wrong with a model's text shows where its config does not fit. */
static bool first_mistake(const Loaded *l, const char *path, Err *err)
{
    for (int i = 0; i < l->diags.said.n; i++) {
        const Diag *d = &l->diags.said.at[i];
        int line, col;
        if (d->severity != SEVERITY_error)
            continue;
        loc_place(d->src, d->loc.at, &line, &col);
        return err_set(err, "%s: its config does not fit: %s (%s:%d:%d)", path,
                       d->text, d->src->path, line, col);
    }
    return err_set(err, "%s: its config does not fit its text", path);
}

static bool bind(Loaded *l, Err *err)
{
    Checkpoint *c = l->checkpoint;
    Err why = {""};
    if (l->common->length && !cJSON_HasObjectItem(c->config, CONFIG_LENGTH))
        cJSON_AddNumberToObject(c->config, CONFIG_LENGTH,
                                (double)l->common->length);
    l->model = model_bind(&l->arena, &l->diags, c->config, c->graft, l->dtype,
                          &why);
    if (!l->model && l->diags.errors > 0)
        return first_mistake(l, c->path, err);
    return l->model || err_set(err, "%s: %s", c->path, why.text);
}

/* They are two tensors. */
static bool unbind_pair(Loaded *l, Err *err)
{
    cJSON_ReplaceItemInObjectCaseSensitive(l->checkpoint->config,
                                           "tie_word_embeddings",
                                           cJSON_CreateFalse());
    return bind(l, err);
}

/* Of two names for one tensor a file may have kept the other. Two tensors that
 * differ are two, whatever the config says. */
static bool bind_pair(Loaded *l, Err *err)
{
    Checkpoint *c = l->checkpoint;
    const char *embed, *head;
    bool tied = model_tied(l->model, &embed, &head);
    const FileTensor *e = checkpoint_find(c, embed),
                     *h = checkpoint_find(c, head);
    if (tied && !e && h)
        checkpoint_rename(c, head, embed);
    if (!tied || !e || !h || e->info.bytes != h->info.bytes ||
        !e->info.data || !h->info.data ||
        !memcmp(e->info.data, h->info.data, (size_t)e->info.bytes))
        return true;
    report_note(l->common, "note: %s: %s differs from %s, though the config "
                "ties them: both are read", c->path, head, embed);
    return unbind_pair(l, err);
}

/* Puts what was trained beside the model into it. */
static bool bind_adapter(Loaded *l, Err *err)
{
    Checkpoint *c = l->checkpoint;
    const char *embed, *head;
    bool untied;
    if (!c->adapter) {
        if (l->common->base)
            report_note(l->common, "note: %s is no adapter: it has no base",
                        c->path);
        return true;
    }
    bool tied = model_tied(l->model, &embed, &head);
    if (!adapter_merge(c, tied ? embed : NULL, tied ? head : NULL, &untied,
                       err))
        return false;
    report_note(l->common, "note: %s is merged into %s", c->adapter, c->path);
    return !untied || unbind_pair(l, err);
}

static void say_unknown(const Loaded *l)
{
    const char *unknown = model_unknown(l->model);
    if (unknown)
        report_note(l->common, "note: %s: config.json has fields that graft "
                    "does not know (%.300s): if the model needs them, it "
                    "computes something else", l->checkpoint->path, unknown);
}

bool loaded_open(Loaded *l, const char *path, const Common *common, Err *err)
{
    *l = (Loaded){.diags.quiet = true, .common = common};
    Checkpoint *c = checkpoint_open_on(path, common->base, err);
    l->checkpoint = c;
    if (!c)
        return false;
    l->dtype = compute_dtype(c, common);
    l->pins.arena = &l->arena;
    if (!bind(l, err) || !bind_pair(l, err) || !bind_adapter(l, err) ||
        !parts_open(l, err) ||
        !loaded_fits(c, l->model, err) || !check_types(l, err))
        return false;
    say_unknown(l);
    return pins_open(&l->pins, model_spec(l->model), common, err);
}

/* The module that `what` names; NULL with err set. */
static const Ast *find_module(const Spec *spec, const char *what, Err *err)
{
    const char *name;
    if (!is_spec(what, &name))
        name = what;
    const Ast *def = spec_find(spec, AST_module, name);
    if (def)
        return def;
    const char *near = spec_nearest(spec, AST_module, name);
    if (spec_find(spec, AST_model, name))
        err_set(err, "%s: a model: its numbers are those of a checkpoint, "
                     "which is to be named instead", what);
    else
        err_set(err, "no module `%s` in %s%s%s%s", name,
                name == what ? "the library" : what,
                near ? " (did you mean `" : "", near ? near : "",
                near ? "`?)" : "");
    return NULL;
}

bool loaded_module(Loaded *l, const char *what, const ArgList *args,
                   const Common *common, Err *err)
{
    Err why = {""};
    *l = (Loaded){.dtype = compute_dtype(NULL, common), .common = common};
    Spec *spec = spec_open(&l->arena, &l->diags, what, err);
    const Ast *def = spec ? find_module(spec, what, err) : NULL;
    if (!def)
        return false;
    l->model = module_model(spec, def, args->at, args->n, l->dtype, &why);
    if (!l->model && l->diags.errors)
        return err_set(err, "%s: not with these parameters, see above", what);
    l->pins.arena = &l->arena;
    return l->model ? pins_open(&l->pins, spec, common, err)
                    : err_set(err, "%s", why.text);
}

void loaded_close(Loaded *l)
{
    pins_close(&l->pins, l->common);
    checkpoint_close(l->checkpoint);
    diags_free(&l->diags);
    arena_free(&l->arena);
}

int64_t weight_stacked(const Weight *w)
{
    int64_t n = 1;
    for (int i = 0; i < w->stacked; i++)
        n *= size_at(w->type.dim[i]->size, 0);
    return n;
}

const FileTensor *loaded_tensor(const Loaded *l, const Weight *w,
                                int64_t index)
{
    int64_t at[MAX_RANK];
    for (int i = w->stacked - 1; i >= 0; i--) {
        int64_t n = size_at(w->type.dim[i]->size, 0);
        at[i] = index % n;
        index /= n;
    }
    const char *name = weight_tensor(w, at);
    const FileTensor *t = checkpoint_find(l->checkpoint, name);
    if (!t)
        BUG("%s: no tensor %s for %s, but it was checked",
            l->checkpoint->path, name, w->path);
    return t;
}

static const void *in_place(void *user, const Weight *w, int64_t index,
                            Dtype want)
{
    return tensor_in_place(loaded_tensor(user, w, index), want);
}

static bool read(void *user, const Weight *w, int64_t index, int64_t first,
                 int64_t count, Dtype to, void *out, Err *err)
{
    (void)err;
    tensor_read(loaded_tensor(user, w, index), first, count, to, out);
    return true;
}

static void done(void *user, const Weight *w, int64_t index)
{
    tensor_release(loaded_tensor(user, w, index));
}

Dtype loaded_stored(void *user, const Weight *w)
{
    Dtype type = loaded_tensor(user, w, 0)->info.dtype;
    for (int64_t i = 0; i < weight_stacked(w); i++) {
        const FileTensor *t = loaded_tensor(user, w, i);
        if (t->made || t->info.dtype != type)
            return w->type.dtype;
    }
    return type;
}

WeightSource loaded_source(Loaded *l)
{
    return (WeightSource){l, in_place, read, done};
}

bool loaded_weight(void *user, const Weight *w, double *out)
{
    int64_t n = weight_stacked(w), each = type_count(&w->type, 0) / n;
    for (int64_t i = 0; i < n; i++) {
        const FileTensor *t = loaded_tensor(user, w, i);
        tensor_read_all(t, TYPE_f64, out + i * each);
        tensor_release(t);
    }
    return true;
}

CpuOptions loaded_options(Loaded *l)
{
    return (CpuOptions){.threads = l->common->threads, .pins = &l->pins,
                        .stored = l->checkpoint ? loaded_stored : NULL,
                        .user = l};
}
