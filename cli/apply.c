/* graft apply: a transform applied to a model, the result streamed into a
 * folder or a GGUF file. All that headers tell is checked before a weight is
 * read. */
#include "cli/cli.h"
#include "cli/driver/driver.h"
#include "compiler/check/check.h"
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
    {"with", 'w', "NAME=MODEL", 0,
     "Another model that the transform asks for, under its name there "
     "(other=DIR); again for several",
     1},
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

static bool open_sources(Job *j, Err *err)
{
    Apply *a = j->a;
    Sources *s = &j->sources;
    /* formulas are f32, whatever the weights are */
    const Common f32 = {.has_dtype = true, .dtype = TYPE_f32,
                        .base = a->common.base, .quiet = a->common.quiet};
    s->at = xmalloc((size_t)(1 + a->with.n) * sizeof *s->at);
    s->with = &a->with;
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

/* Models of several types: what is mixed of them is in one that holds all. */
static void say_types(const Job *j)
{
    const Apply *a = j->a;
    const Sources *s = &j->sources;
    const char *text = "";
    bool differ = false;
    for (int i = 0; i < s->n; i++) {
        Dtype t = s->at[i].checkpoint->dtype;
        differ |= t != s->at[0].checkpoint->dtype;
        text = arena_printf(&j->a->arena, "%s%s%s is %s", text, i ? ", " : "",
                            i ? a->with.at[i - 1].value : a->model,
                            type_info[t].name);
    }
    if (differ && !a->common.has_dtype)
        report_note(&a->common,
                    "%s: a weight made of several takes a type that holds "
                    "all of theirs",
                    text);
}

/* What `check` says of the transform: it may be applied all the same. */
static void repeat_warnings(Job *j)
{
    Claims claims = {0};
    const Ast *def = spec_find(j->spec, AST_transform, j->name);
    j->diags.quiet = j->a->common.json;
    spec_check_transform(j->spec, def, &claims);
    for (int i = 0; i < claims.n; i++) {
        const Claim *c = &claims.at[i];
        if (c->silent || c->proof->result == PROOF_proved)
            continue;
        warning_at(c->at->src, c->at->loc, "%s: %s",
                   c->proof->result == PROOF_refuted
                       ? "this does not hold"
                       : "neither proved nor refuted",
                   c->proof->why);
    }
    j->diags.quiet = false;
}

static bool transform(Job *j, Err *err)
{
    Apply *a = j->a;
    Err why = {""};
    Model *m = j->sources.at[0].model;
    j->made = m;
    for (int i = 0; j->made && i + 1 < j->steps.n; i++)
        j->made = model_transform(j->spec, j->made, j->steps.at[i].name,
                                  j->steps.at[i].arg.at, j->steps.at[i].arg.n,
                                  NULL, 0, &why);
    ArgList arg = a->arg;
    for (int i = 0; j->steps.n && i < j->steps.at[j->steps.n - 1].arg.n; i++)
        list_push(&a->arena, &arg, j->steps.at[j->steps.n - 1].arg.at[i]);
    if (j->made)
        j->made = model_transform(j->spec, j->made, j->name, arg.at, arg.n,
                                  with_shape(&a->arena, &a->with, m), a->with.n,
                                  &why);
    if (!j->made)
        return err_set(err, "%s", *why.text ? why.text
                                            : "it cannot be applied, see "
                                              "above");
    const Common as_it_is = {0}; /* a GGUF file's types come with writing */
    file_plan_make(&j->plan, &a->arena, &j->sources, j->made,
                   output_is_gguf(a->out) ? &as_it_is : &a->common);
    say_types(j);
    repeat_warnings(j);
    return true;
}

static cJSON *warnings_json(const Job *j)
{
    cJSON *list = cJSON_CreateArray();
    for (int i = 0; i < j->diags.said.n; i++) {
        const Diag *d = &j->diags.said.at[i];
        int line, col;
        loc_place(d->src, d->loc.at, &line, &col);
        cJSON_AddItemToArray(
            list, cJSON_CreateString(arena_printf(&j->a->arena, "%s:%d:%d: %s",
                                                  d->src->path, line, col,
                                                  d->text)));
    }
    return list;
}

/* ---- writing ---- */

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
    bool fine = w && weights_put(&j->sources, &j->plan, &j->a->common, w,
                                 err);
    if (w && !fine)
        writer_cancel(w);
    else if (w)
        fine = writer_finish(w, err);
    output_free(&out);
    return fine;
}

static void count_types(const FilePlan *p, int count[TYPE_COUNT])
{
    memset(count, 0, TYPE_COUNT * sizeof *count);
    for (int i = 0; i < p->tensor.n; i++)
        count[p->tensor.at[i].dtype]++;
}

/* "f32", or "12 bf16, 9 f32" where they differ. */
static const char *types_text(Job *j, const int count[TYPE_COUNT])
{
    const char *text = NULL;
    for (int t = 0; t < TYPE_COUNT; t++) {
        if (count[t] == j->plan.tensor.n)
            return type_info[t].name;
        if (count[t])
            text = arena_printf(&j->a->arena, "%s%s%d %s", text ? text : "",
                                text ? ", " : "", count[t], type_info[t].name);
    }
    return text ? text : "none";
}

static void say_done(Job *j, double seconds)
{
    char amount[32];
    const FilePlan *p = &j->plan;
    int count[TYPE_COUNT];
    count_types(p, count);
    bool as_planned = !output_is_gguf(j->a->out) || !j->a->common.has_dtype;
    report_note(&j->a->common, "%s: %d tensors%s%s, %s, in %.1f s", j->a->out,
                p->tensor.n, as_planned ? ", " : "",
                as_planned ? types_text(j, count) : "",
                progress_amount(amount, (double)p->bytes, "B"), seconds);
    if (!j->a->common.json)
        return;
    cJSON *o = cJSON_CreateObject(), *types = cJSON_CreateObject();
    for (int t = 0; t < TYPE_COUNT && as_planned; t++)
        if (count[t])
            cJSON_AddNumberToObject(types, type_info[t].name, count[t]);
    cJSON_AddStringToObject(o, "out", j->a->out);
    cJSON_AddNumberToObject(o, "tensors", p->tensor.n);
    cJSON_AddNumberToObject(o, "bytes", (double)p->bytes);
    cJSON_AddItemToObject(o, "types", types);
    cJSON_AddItemToObject(o, "warnings", warnings_json(j));
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
    bool fine = read_spec(&j, &err) && open_sources(&j, &err) &&
                transform(&j, &err) && write_out(&j, &err);
    if (fine)
        say_done(&j, seconds_now() - began);
    else
        report_error(&a.common, &err);
    if (rt_interrupted && !fine)
        report_note(&a.common, "run it again to start over");
    file_plan_free(&j.plan);
    sources_close(&j.sources);
    diags_free(&j.diags);
    arena_free(&a.arena);
    return fine ? EXIT_done : EXIT_wrong_input;
}
