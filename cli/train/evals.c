/* `eval(m, data)` of a recipe: measured once, kept beside the log, told. */
#include "cli/driver/score.h"
#include "cli/train/folder.h"
#include <math.h>
#include <string.h>
#include <unistd.h>

/* Where the i-th action's result is kept. */
static const char *result_path(Run *r, int i)
{
    return arena_printf(&r->plan.arena, "%s/eval-%d.json", r->folder, i);
}

bool eval_open(Opened *o, Fed *f, Run *r, const Action *act, bool planned,
               Err *err)
{
    *f = (Fed){0};
    if (!opened_make(o, &r->plan, act->model, r->common,
                     planned ? NULL : run_stage_folder, r, err))
        return false;
    const Graph *g = model_graph_whole(o->model, &o->arena);
    return g ? fed_open(f, r, act->data, o, g, err)
             : err_set(err, "the model cannot be lowered");
}

/* A folder that the model is in; *made: it was written for this. */
static const char *folder_with(Run *r, const Action *act, int i, bool *made,
                               Err *err)
{
    const RunModel *m = act->model;
    *made = m->step.n > 0;
    if (!*made)
        return m->stage >= 0 ? run_stage_folder(r, m->stage) : m->folder;
    const char *path = arena_printf(&r->plan.arena, "%s/eval-%d", r->folder,
                                    i);
    folder_remove(path);
    return model_save(r, m, path, err) ? path : NULL;
}

static bool measure(Run *r, const Action *act, const Fed *f, int i, Score *s,
                    Err *err)
{
    bool made;
    const char *folder = folder_with(r, act, i, &made, err);
    Engine *e = folder ? engine_open_effects(folder, r->common, false, err)
                       : NULL;
    bool fine = e && score_examples(e, r->common, &f->data, f->part.at,
                                    f->part.n, s, err);
    engine_close(e);
    if (folder && made)
        folder_remove(folder);
    if (fine && s->stopped)
        return err_set(err, "stopped; the same command goes on");
    return fine && (s->tokens > 0 ||
                    err_set(err, "eval: %s has no label",
                            act->data->spec.path));
}

static bool keep(Run *r, const Action *act, int i, const Score *s, Err *err)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "model", act->name);
    cJSON_AddStringToObject(o, "data", act->data->spec.path);
    cJSON_AddNumberToObject(o, "tokens", (double)s->tokens);
    cJSON_AddNumberToObject(o, "nll", score_mean(s));
    if (s->tokens > 1)
        cJSON_AddNumberToObject(o, "stderr", score_error(s));
    char *text = json_text(o);
    bool fine = file_write(result_path(r, i), text, strlen(text), err);
    free(text);
    cJSON_Delete(o);
    return fine;
}

cJSON *eval_result(Run *r, int i)
{
    Err none;
    size_t len;
    char *text = read_file(result_path(r, i), &len, &none);
    cJSON *o = text ? cJSON_ParseWithLength(text, len) : NULL;
    free(text);
    return o;
}

static double number_of(const cJSON *o, const char *name)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(o, name);
    return cJSON_IsNumber(v) ? v->valuedouble : NAN;
}

static void tell(const Run *r, const Action *act, const cJSON *o)
{
    if (r->common->json) {
        report_json(cJSON_Duplicate(o, true));
        return;
    }
    printf("%s on %s: nll %.6f", act->name, act->data->spec.path,
           number_of(o, "nll"));
    if (isfinite(number_of(o, "stderr")))
        printf(", standard error %.6f", number_of(o, "stderr"));
    printf(", %.0f tokens\n", number_of(o, "tokens"));
    fflush(stdout);
}

bool eval_run(Run *r, const Action *act, int i, Err *err)
{
    Opened o;
    Fed f;
    Score s = {0};
    cJSON *known = eval_result(r, i);
    bool fine = true;
    if (!known) {
        fine = eval_open(&o, &f, r, act, false, err) &&
               measure(r, act, &f, i, &s, err) && keep(r, act, i, &s, err);
        fed_free(&f);
        opened_close(&o);
        known = fine ? eval_result(r, i) : NULL;
    }
    if (known)
        tell(r, act, known);
    cJSON_Delete(known);
    return fine;
}

void evals_table(Run *r)
{
    int n = 0, wide = (int)strlen("model");
    for (int i = 0; i < r->plan.action.n; i++) {
        const Action *act = &r->plan.action.at[i];
        int len = (int)strlen(act->name);
        n += act->kind == ACT_eval;
        wide = act->kind == ACT_eval && len > wide ? len : wide;
    }
    if (n < 2 || r->common->json)
        return;
    printf("\n%-*s  %9s  %9s  %8s  data\n", wide, "model", "nll", "error",
           "tokens");
    for (int i = 0; i < r->plan.action.n; i++) {
        const Action *act = &r->plan.action.at[i];
        cJSON *o = act->kind == ACT_eval ? eval_result(r, i) : NULL;
        if (o)
            printf("%-*s  %9.6f  %9.6f  %8.0f  %s\n", wide, act->name,
                   number_of(o, "nll"), number_of(o, "stderr"),
                   number_of(o, "tokens"), act->data->spec.path);
        cJSON_Delete(o);
    }
}
