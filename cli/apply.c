/* graft apply: a transform applied to a model, the result streamed into a
 * folder or a GGUF file. All that headers tell is checked before a weight is
 * read. */
#include "cli/cli.h"
#include "cli/driver/driver.h"
#include <string.h>

typedef struct {
    const char *transform, *model, *out;
    ArgList arg, with; /* name=value, other=path */
    bool strict;
    Common common;
    Arena arena;
} Apply;

enum { KEY_strict = 1 };

static const struct argp_option options[] = {
    {"output", 'o', "OUT", 0,
     "What to make: a folder, or a GGUF file where it ends in .gguf; it must "
     "not exist",
     1},
    {"strict", KEY_strict, NULL, 0,
     "Write no GGUF file of which llama.cpp would compute something else", 1},
    {"with", 'w', "other=MODEL", 0,
     "Another model that the transform asks for; again for several", 1},
    {0}};

static void key_arg(Apply *a, const char *arg, struct argp_state *state)
{
    if (!a->transform)
        a->transform = arg;
    else if (!a->model)
        a->model = arg;
    else
        args_add(&a->arg, &a->arena, "a parameter", arg, state);
}

static void key_end(const Apply *a, struct argp_state *state)
{
    if (!a->transform || !a->model)
        argp_error(state, "needs a transform and a model");
    if (!a->out)
        argp_error(state, "needs -o OUT, the folder or .gguf to make");
    if (a->common.has_dtype && a->common.dtype == TYPE_q8_0 &&
        !output_is_gguf(a->out))
        argp_error(state, "--dtype q8_0 needs -o OUT.gguf");
    for (int i = 1; i < a->with.n; i++)
        if (strcmp(a->with.at[i].name, a->with.at[0].name))
            argp_error(state, "--with %s and --with %s: there is one name "
                              "for other models",
                       a->with.at[0].name, a->with.at[i].name);
}

static error_t key(int k, char *arg, struct argp_state *state)
{
    Apply *a = state->input;
    switch (k) {
    case 'o':
        a->out = arg;
        break;
    case KEY_strict:
        a->strict = true;
        break;
    case 'w':
        args_add(&a->with, &a->arena, "--with", arg, state);
        break;
    case ARGP_KEY_ARG:
        key_arg(a, arg, state);
        break;
    case ARGP_KEY_END:
        key_end(a, state);
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static const struct argp argp = {
    options, key, "TRANSFORM MODEL [name=value...]",
    "Apply a transform to a model and save the result: as a Hugging Face "
    "folder, or as OUT.gguf, where llama.cpp has such a model. TRANSFORM is "
    "one of the library's or FILE.graft:NAME, or several in each other, as in "
    "'lora(pesc(m, E: 4))'; `copy` changes nothing, so it "
    "turns a folder into a GGUF file and back. Weights keep their types "
    "(quantised ones become f32), or take that of --dtype: f32, bf16, f16, "
    "and q8_0 in a GGUF file.",
    NULL, NULL, NULL};

/* ---- the transform ---- */

typedef struct {
    Apply *a;
    Diags diags;
    Spec *spec;
    const char *name; /* of the transform, of several the last */
    Steps steps;
    Sources sources;
    Model *made;
    FilePlan plan;
    void *buffer; /* of `room` bytes, for what is written next */
    int64_t room;
} Job;

/* FILE.graft:NAME; a name alone is the library's. */
static bool read_spec(Job *j, Err *err)
{
    const char *what, *name;
    if (!steps_read(&j->a->arena, j->a->transform, &what, &j->steps, err) ||
        !(j->spec = spec_open(&j->a->arena, &j->diags, what, err)))
        return false;
    is_spec(what, &name);
    j->name = name ? name : what;
    if (spec_find(j->spec, AST_transform, j->name))
        return true;
    const char *near = spec_nearest(j->spec, AST_transform, j->name);
    return err_set(err, "no transform `%s` in %s%s%s%s", j->name,
                   name ? what : "the library",
                   near ? " (did you mean `" : "", near ? near : "",
                   near ? "`?)" : name ? "" : "; graft list has its, "
                                              "FILE.graft:NAME names a "
                                              "file's");
}

/* A transform's parameter that is another model, or NULL. */
static const char *other_name(const Job *j)
{
    const Ast *def = spec_find(j->spec, AST_transform, j->name);
    const Ast *params = def->nkid ? def->kid[0] : NULL;
    for (int i = 0; params && i < params->nkid; i++)
        if (params->kid[i]->kind == AST_param_model)
            return params->kid[i]->text;
    return NULL;
}

static bool check_with(const Job *j, Err *err)
{
    const char *other = other_name(j);
    const Apply *a = j->a;
    if (other && a->with.n == 0)
        return err_set(err, "%s needs another model: --with %s=MODEL", j->name,
                       other);
    if (a->with.n > 0 && (!other || strcmp(other, a->with.at[0].name)))
        return err_set(err, "%s has no `%s` that is a model%s%s%s", j->name,
                       a->with.at[0].name, other ? " (did you mean `" : "",
                       other ? other : "", other ? "`?)" : "");
    return true;
}

static bool open_sources(Job *j, Err *err)
{
    Apply *a = j->a;
    Sources *s = &j->sources;
    /* formulas are f32, whatever the weights are */
    const Common f32 = {.has_dtype = true, .dtype = TYPE_f32};
    s->at = xmalloc((size_t)(1 + a->with.n) * sizeof *s->at);
    for (int i = 0; i <= a->with.n; i++) {
        const char *path = i ? a->with.at[i - 1].value : a->model;
        s->n++;
        if (!loaded_open(&s->at[i], path, &f32, err) ||
            !loaded_fits(s->at[i].checkpoint, s->at[0].model, err))
            return false;
    }
    sources_index(s);
    return true;
}

static bool transform(Job *j, Err *err)
{
    Apply *a = j->a;
    Err why = {""};
    Model **with =
        arena_alloc(&a->arena, (size_t)(a->with.n + 1) * sizeof *with);
    for (int i = 0; i < a->with.n; i++)
        with[i] = j->sources.at[0].model; /* its shape, and its dims */
    j->made = j->sources.at[0].model;
    for (int i = 0; j->made && i + 1 < j->steps.n; i++)
        j->made = model_transform(j->spec, j->made, j->steps.at[i].name,
                                  j->steps.at[i].arg.at, j->steps.at[i].arg.n,
                                  NULL, 0, &why);
    ArgList arg = a->arg;
    for (int i = 0; j->steps.n && i < j->steps.at[j->steps.n - 1].arg.n; i++)
        list_push(&a->arena, &arg, j->steps.at[j->steps.n - 1].arg.at[i]);
    if (j->made)
        j->made = model_transform(j->spec, j->made, j->name, arg.at, arg.n,
                                  with, a->with.n, &why);
    if (!j->made)
        return err_set(err, "%s", *why.text ? why.text
                                            : "it cannot be applied, see "
                                              "above");
    const Common as_it_is = {0}; /* a GGUF file's types come with writing */
    file_plan_make(&j->plan, &a->arena, &j->sources, j->made,
                   output_is_gguf(a->out) ? &as_it_is : &a->common);
    return true;
}

/* ---- the weights ---- */

/* Memory that stays, as fresh pages cost more than what is done in them. */
static void *buffer(Job *j, int64_t bytes)
{
    if (bytes > j->room) {
        free(j->buffer);
        j->buffer = xmalloc((size_t)bytes);
        j->room = bytes;
    }
    return j->buffer;
}

/* The rows of a file's tensor as dtype, a piece at a time. */
static bool put_converted(Job *j, Writer *w, const FileTensor *t,
                          const TensorInfo *as, Err *err)
{
    enum { PIECE = 1 << 20 }; /* elements, about */
    int64_t cols = t->info.rank ? t->info.shape[t->info.rank - 1] : 1;
    int64_t each = type_bytes(as->dtype, 1), count = as->bytes / each;
    int64_t piece = cols > 0 && cols < PIECE ? PIECE / cols * cols : PIECE;
    char *buf = buffer(j, (piece < count ? piece : count) * each);
    bool fine = true;
    for (int64_t at = 0; fine && at < count; at += piece) {
        int64_t n = count - at < piece ? count - at : piece;
        tensor_read(t, at, n, as->dtype, buf);
        fine = writer_put(w, buf, n * each, err);
    }
    return fine;
}

static bool put_copy(Job *j, Writer *w, const FileTensor *t,
                     const TensorInfo *as, Err *err)
{
    int k = (int)(as - j->plan.tensor.at);
    bool part = j->plan.part[k].whole >= 0;
    bool as_it_lies = t->info.dtype == as->dtype && t->rows == ROWS_plain;
    bool fine;
    if (part) {
        char *buf = buffer(j, as->bytes);
        tensor_read_all(t, as->dtype, buf);
        fine = file_plan_put(&j->plan, w, k, buf, err);
    } else {
        fine = as_it_lies ? writer_copy(w, t, err)
                          : put_converted(j, w, t, as, err);
    }
    tensor_release(t);
    return fine;
}

static bool all_copies(const Sources *s, const Planned *p)
{
    for (int i = 0; i < p->count; i++)
        if (!copied_from(s, p->weight, i))
            return false;
    return true;
}

static bool put_computed(Job *j, Values *v, Writer *w, const Planned *p,
                         Err *err)
{
    int64_t bytes = 0;
    for (int i = 0; i < p->count; i++)
        bytes += j->plan.tensor.at[p->first + i].bytes;
    char *buf = buffer(j, bytes);
    if (!values_compute(v, p->weight, p->dtype, buf, err))
        return false;
    bool fine = true;
    for (int i = p->first; fine && i < p->first + p->count; i++) {
        fine = file_plan_put(&j->plan, w, i, buf, err);
        buf += j->plan.tensor.at[i].bytes;
    }
    return fine;
}

static bool put_weights(Job *j, Writer *w, Err *err)
{
    Values *v = values_new(&j->sources, j->a->common.threads);
    Progress bar = progress_begin(&j->a->common, "apply", "B", j->plan.bytes);
    bool fine = true;
    for (int i = 0; fine && i < j->plan.weight.n; i++) {
        const Planned *p = &j->plan.weight.at[i];
        if (!all_copies(&j->sources, p)) {
            fine = put_computed(j, v, w, p, err);
            progress_at(&bar, writer_written(w));
            continue;
        }
        for (int k = 0; fine && k < p->count; k++) {
            fine = put_copy(j, w, copied_from(&j->sources, p->weight, k),
                            &j->plan.tensor.at[p->first + k], err);
            progress_at(&bar, writer_written(w));
        }
    }
    if (fine)
        progress_end(&bar);
    values_free(v);
    return fine;
}

enum { METAS = 5 };
static void provenance(Job *j, const char *meta[METAS][2])
{
    Arena *a = &j->a->arena;
    char *text = spec_closure(j->spec);
    const char *args = "";
    for (int i = 0; i < j->a->arg.n; i++)
        args = arena_printf(a, "%s%s%s=%s", args, i ? " " : "",
                            j->a->arg.at[i].name, j->a->arg.at[i].value);
    const char *const all[METAS][2] = {
        {"graft.version", CLI_VERSION},
        {"graft.transform", j->name},
        {"graft.parameters", args},
        {"graft.text", arena_printf(a, "%016llx",
                                    (unsigned long long)hash_bytes(
                                        0, text, strlen(text)))},
        {"graft.source",
         arena_printf(a, "%016llx",
                      (unsigned long long)checkpoint_hash(
                          j->sources.at[0].checkpoint))},
    };
    memcpy(meta, all, sizeof all);
    free(text);
}

static bool write_out(Job *j, Err *err)
{
    const char *meta[METAS][2];
    provenance(j, meta);
    Output out = {.path = j->a->out, .common = &j->a->common,
                  .strict = j->a->strict,
                  .source = j->sources.at[0].checkpoint, .made = j->made,
                  .plan = &j->plan, .meta = meta, .metas = METAS};
    Writer *w = output_begin(&out, err);
    bool fine = w && put_weights(j, w, err);
    if (w && !fine)
        writer_cancel(w);
    else if (w)
        fine = writer_finish(w, err);
    output_free(&out);
    return fine;
}

static void say_done(const Job *j, double seconds)
{
    char amount[32];
    const FilePlan *p = &j->plan;
    report_note(&j->a->common, "%s: %d tensors, %s, in %.1f s", j->a->out,
                p->tensor.n, progress_amount(amount, (double)p->bytes, "B"),
                seconds);
    if (!j->a->common.json)
        return;
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "out", j->a->out);
    cJSON_AddNumberToObject(o, "tensors", p->tensor.n);
    cJSON_AddNumberToObject(o, "bytes", (double)p->bytes);
    cJSON_AddNumberToObject(o, "seconds", seconds);
    report_json(o);
}

int command_apply(int argc, char **argv)
{
    Apply a = {.common.stores = true};
    options_parse(&argp, argc, argv, &a, &a.common);
    rt_catch_interrupts();
    Job j = {.a = &a};
    Err err;
    double began = seconds_now();
    bool fine = read_spec(&j, &err) && check_with(&j, &err) &&
                open_sources(&j, &err) && transform(&j, &err) &&
                write_out(&j, &err);
    if (fine)
        say_done(&j, seconds_now() - began);
    else
        report_error(&a.common, &err);
    if (rt_interrupted && !fine)
        report_note(&a.common, "run it again to start over");
    free(j.buffer);
    file_plan_free(&j.plan);
    sources_close(&j.sources);
    diags_free(&j.diags);
    arena_free(&a.arena);
    return fine ? EXIT_done : EXIT_wrong_input;
}
