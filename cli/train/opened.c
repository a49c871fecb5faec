/* A described model opened: its folder, those of other models that transforms
 * read, the transforms applied. */
#include "cli/train/opened.h"
#include <string.h>

/* What a model begins with: its folder, or its stage's. */
static const char *folder_of(const RunModel *m, StageFolder *of, void *user)
{
    return of && m->stage >= 0 ? of(user, m->stage) : m->folder;
}

/* The other models of all steps, each name's in order. */
static bool collect(Opened *o, const RunSteps *steps, StageFolder *of,
                    void *user, Err *err)
{
    for (int i = 0; i < steps->n; i++)
        for (int j = 0; j < steps->at[i].with.n; j++) {
            const RunModel *m = steps->at[i].with.at[j].model;
            if (m->step.n)
                return err_set(err, "`%s` of `%s` is a model with transforms "
                                    "on top: save it first",
                               steps->at[i].with.at[j].name,
                               steps->at[i].def->text);
            Arg one = {steps->at[i].with.at[j].name, folder_of(m, of, user)};
            list_push(&o->arena, &o->with, one);
        }
    return true;
}

static bool open_sources(Opened *o, const char *folder, Err *err)
{
    Sources *s = &o->sources;
    s->at = xmalloc((size_t)(1 + o->with.n) * sizeof *s->at);
    s->with = &o->with;
    for (int i = 0; i <= o->with.n; i++) {
        const char *path = i ? o->with.at[i - 1].value : folder;
        s->n++;
        if (!loaded_open(&s->at[i], path, &o->common, err) ||
            !loaded_fits(s->at[i].checkpoint, s->at[0].model, err))
            return false;
    }
    sources_index(s);
    return true;
}

static Model *apply(Opened *o, const RunPlan *p, Model *m, const RunStep *s,
                    Err *err)
{
    With *with = arena_alloc(&o->arena, (size_t)(s->with.n + 1) *
                                            sizeof *with);
    Err why = {""};
    for (int i = 0; i < s->with.n; i++)
        with[i] = (With){intern(s->with.at[i].name), o->sources.at[0].model};
    Model *made = model_transform(p->spec, m, s->def->text, s->arg.at,
                                  s->arg.n, with, s->with.n, &why);
    if (!made)
        err_set(err, "%s", *why.text ? why.text
                                     : "a transform cannot be applied, see "
                                       "above");
    return made;
}

bool opened_make(Opened *o, const RunPlan *p, const RunModel *m,
                 const Common *common, StageFolder *of, void *user, Err *err)
{
    *o = (Opened){.common = *common};
    const RunSteps *steps = of ? &m->step : &m->all;
    if (m->has_dtype && !common->has_dtype) {
        o->common.has_dtype = true;
        o->common.dtype = m->dtype;
    }
    if (!collect(o, steps, of, user, err) ||
        !open_sources(o, folder_of(m, of, user), err))
        return false;
    o->model = o->sources.at[0].model;
    for (int i = 0; o->model && i < steps->n; i++)
        o->model = apply(o, p, o->model, &steps->at[i], err);
    const Common as_it_is = {0};
    if (o->model)
        file_plan_make(&o->plan, &o->arena, &o->sources, o->model, &as_it_is);
    return o->model;
}

void opened_close(Opened *o)
{
    file_plan_free(&o->plan);
    sources_close(&o->sources);
    arena_free(&o->arena);
}
