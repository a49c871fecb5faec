/* `after step T(..)`: between two of the optimiser's steps each weight becomes
 * what the transform makes of all as they stand, masters too. */
#include "cli/train/after.h"
#include <string.h>

struct After {
    Params *params;
    Values *values;
    LIST(struct Made {
        const Weight *w; /* of the transformed model: a formula */
        Param *of;       /* the parameter that it is a new value of */
        void *value;
    }) made;
    Arena arena;
};

/* Weights as leaves, whatever made them: the formulas they were first made by
 * are set aside in `kept`, or put back. */
static void swap_formulas(const Model *m, Node **kept, bool back)
{
    const Weight *const *w;
    int n = model_weights(m, &w);
    for (int i = 0; i < n; i++) {
        Node *value = w[i]->value;
        ((Weight *)w[i])->value = back ? kept[i] : NULL;
        kept[i] = value;
    }
}

static Model *transformed(After *a, const RunPlan *plan, const RunSteps *steps,
                          Err *err)
{
    Model *m = a->params->opened->model;
    Err why = {""};
    for (int i = 0; m && i < steps->n; i++) {
        const RunStep *s = &steps->at[i];
        if (s->with.n) {
            err_set(err, "after step %s: it may not read other models",
                    s->def->text);
            return NULL;
        }
        m = model_transform(plan->spec, m, s->def->text, s->arg.at, s->arg.n,
                            NULL, 0, &why);
    }
    if (!m)
        err_set(err, "after step: %s", *why.text ? why.text : "a transform "
                                       "cannot be applied, see above");
    return m;
}

static Param *at_path(const Params *p, const char *path)
{
    for (int i = 0; i < p->param.n; i++)
        if (!strcmp(p->param.at[i].weight->path, path))
            return &p->param.at[i];
    return NULL;
}

static Dtype kept_as(const Param *q)
{
    return q->master ? TYPE_f32 : q->dtype;
}

static bool note_made(After *a, const Model *m, Err *err)
{
    const Weight *const *w;
    int n = model_weights(m, &w);
    for (int i = 0; i < n; i++) {
        if (!w[i]->value)
            continue;
        Param *q = at_path(a->params, w[i]->path);
        if (!q || !q->trained || q->learned ||
            q->count != type_count(&w[i]->type, 0))
            return err_set(err, "after step: it gives %s, which does not "
                                "train here", w[i]->path);
        struct Made one = {w[i], q, NULL};
        one.value = exec_alloc(type_bytes(kept_as(q), q->count) + 64);
        list_push(&a->arena, &a->made, one);
    }
    return a->made.n > 0 || err_set(err, "after step: it changes no weight");
}

After *after_new(Params *p, const RunPlan *plan, const RunSteps *steps,
                 int threads, Err *err)
{
    After *a = xmalloc(sizeof *a);
    *a = (After){.params = p};
    const Model *m = p->opened->model;
    const Weight *const *w;
    Node **kept = arena_alloc(&a->arena, (size_t)model_weights(m, &w) *
                                             sizeof *kept + 1);
    swap_formulas(m, kept, false);
    Model *made = transformed(a, plan, steps, err);
    swap_formulas(m, kept, true);
    a->values = values_new(&p->opened->sources, threads);
    if (made && note_made(a, made, err))
        return a;
    after_free(a);
    return NULL;
}

bool after_step(After *a, Err *err)
{
    Sources *from = &a->params->opened->sources;
    bool fine = true;
    from->user = a->params;
    from->given = params_given;
    for (int i = 0; fine && i < a->made.n; i++)
        fine = values_compute(a->values, a->made.at[i].w,
                              kept_as(a->made.at[i].of), a->made.at[i].value,
                              err);
    from->given = NULL;
    for (int i = 0; fine && i < a->made.n; i++) {
        Param *q = a->made.at[i].of;
        memcpy(q->master ? (void *)q->master : q->at, a->made.at[i].value,
               (size_t)type_bytes(kept_as(q), q->count));
        for (int64_t j = 0; q->master && j < q->count; j++)
            type_store(q->dtype, q->at, j, q->master[j]);
    }
    return fine;
}

void after_free(After *a)
{
    if (!a)
        return;
    for (int i = 0; i < a->made.n; i++)
        free(a->made.at[i].value);
    values_free(a->values);
    arena_free(&a->arena);
    free(a);
}
